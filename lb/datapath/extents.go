package datapath

import (
	"fmt"
	"slices"
)

// extent is the numbers [from, to).
type extent struct{ from, to uint32 }

// extents hands out ranges of the numbers [0, size): ids, and ranges of slots. It takes the lowest that fits.
// The zero value hands out nothing.
type extents struct {
	size uint32
	free []extent // ascending, apart by at least one
}

func newExtents(size uint32) extents {
	return extents{size: size, free: []extent{{0, size}}}
}

// alloc takes n consecutive numbers and returns the first; ok is false if there are none. n = 0 takes nothing.
func (e *extents) alloc(n uint32) (from uint32, ok bool) {
	if n == 0 {
		return 0, true
	}
	for i, f := range e.free {
		if f.to-f.from < n {
			continue
		}
		e.free[i].from += n
		if e.free[i].from == f.to {
			e.free = slices.Delete(e.free, i, i+1)
		}
		return f.from, true
	}
	return 0, false
}

// take takes exactly [from, from+n), which an earlier process has handed out. Errors: it is not free.
func (e *extents) take(from, n uint32) error {
	if n == 0 {
		return nil
	}
	to := from + n
	i := slices.IndexFunc(e.free, func(f extent) bool { return f.from <= from && to <= f.to })
	if i < 0 || to < from {
		return fmt.Errorf("range [%d, %d) is in use or beyond %d", from, to, e.size)
	}
	f := e.free[i]
	e.free = slices.Delete(e.free, i, i+1)
	e.release(f.from, from-f.from)
	e.release(to, f.to-to)
	return nil
}

// release gives [from, from+n) back.
func (e *extents) release(from, n uint32) {
	if n == 0 {
		return
	}
	i, _ := slices.BinarySearchFunc(e.free, from, func(f extent, at uint32) int {
		return int(int64(f.from) - int64(at))
	})
	e.free = slices.Insert(e.free, i, extent{from, from + n})
	if i+1 < len(e.free) && e.free[i].to == e.free[i+1].from {
		e.free[i].to = e.free[i+1].to
		e.free = slices.Delete(e.free, i+1, i+2)
	}
	if i > 0 && e.free[i-1].to == e.free[i].from {
		e.free[i-1].to = e.free[i].to
		e.free = slices.Delete(e.free, i, i+1)
	}
}
