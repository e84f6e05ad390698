package tables

import (
	"fmt"
	"slices"
)

// Extent is the numbers [From, To).
type Extent struct{ From, To uint32 }

// ExtentOf returns n numbers from the first one on.
func ExtentOf(from, n uint32) Extent { return Extent{from, from + n} }

// Extents hands out ranges of the numbers [0, size): ids, and ranges of slots. It takes the lowest that fits.
// The zero value hands out nothing.
type Extents struct {
	size uint32
	free []Extent // ascending, apart by at least one
}

// NewExtents returns extents of [0, size), all free.
func NewExtents(size uint32) Extents {
	return Extents{size: size, free: []Extent{{0, size}}}
}

// Alloc takes n consecutive numbers and returns the first; ok is false if there are none. n = 0 takes nothing.
func (e *Extents) Alloc(n uint32) (from uint32, ok bool) {
	if n == 0 {
		return 0, true
	}
	for i, f := range e.free {
		if f.To-f.From < n {
			continue
		}
		e.free[i].From += n
		if e.free[i].From == f.To {
			e.free = slices.Delete(e.free, i, i+1)
		}
		return f.From, true
	}
	return 0, false
}

// Take takes exactly [from, from+n), which an earlier process has handed out. Errors: it is not free.
func (e *Extents) Take(from, n uint32) error {
	if n == 0 {
		return nil
	}
	to := from + n
	i := slices.IndexFunc(e.free, func(f Extent) bool { return f.From <= from && to <= f.To })
	if i < 0 || to < from {
		return fmt.Errorf("range [%d, %d) is in use or beyond %d", from, to, e.size)
	}
	f := e.free[i]
	e.free = slices.Delete(e.free, i, i+1)
	e.Release(f.From, from-f.From)
	e.Release(to, f.To-to)
	return nil
}

// Release gives [from, from+n) back.
func (e *Extents) Release(from, n uint32) {
	if n == 0 {
		return
	}
	i, _ := slices.BinarySearchFunc(e.free, from, func(f Extent, at uint32) int {
		return int(int64(f.From) - int64(at))
	})
	e.free = slices.Insert(e.free, i, Extent{from, from + n})
	if i+1 < len(e.free) && e.free[i].To == e.free[i+1].From {
		e.free[i].To = e.free[i+1].To
		e.free = slices.Delete(e.free, i+1, i+2)
	}
	if i > 0 && e.free[i-1].To == e.free[i].From {
		e.free[i-1].To = e.free[i].To
		e.free = slices.Delete(e.free, i, i+1)
	}
}
