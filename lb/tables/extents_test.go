package tables

import (
	"testing"

	"pgregory.net/rapid"
)

// A number that is taken was free and is not; a number that is released is free again.
func TestExtents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 40
		e := NewExtents(size)
		var used [size]bool
		var held []Extent
		set := func(x Extent, as bool) {
			for i := x.From; i < x.To; i++ {
				if used[i] == as {
					t.Fatalf("%d is %v already", i, as)
				}
				used[i] = as
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"alloc": func(t *rapid.T) {
				n := rapid.Uint32Range(1, 9).Draw(t, "n")
				from, ok := e.Alloc(n)
				if ok != (longest(used[:]) >= n) {
					t.Fatalf("alloc %d: %v, the longest free range is %d", n, ok, longest(used[:]))
				}
				if ok {
					set(Extent{from, from + n}, true)
					held = append(held, Extent{from, from + n})
				}
			},
			"take": func(t *rapid.T) {
				from, n := rapid.Uint32Range(0, size+3).Draw(t, "from"), rapid.Uint32Range(1, 9).Draw(t, "n")
				free := from+n <= size
				for i := from; free && i < from+n; i++ {
					free = !used[i]
				}
				if err := e.Take(from, n); (err == nil) != free {
					t.Fatalf("take [%d, %d): %v, free: %v", from, from+n, err, free)
				}
				if free {
					set(Extent{from, from + n}, true)
					held = append(held, Extent{from, from + n})
				}
			},
			"release": func(t *rapid.T) {
				if len(held) == 0 {
					t.Skip("nothing held")
				}
				i := rapid.IntRange(0, len(held)-1).Draw(t, "which")
				e.Release(held[i].From, held[i].To-held[i].From)
				set(held[i], false)
				held = append(held[:i], held[i+1:]...)
			},
		})
	})
}

// longest returns the length of the longest free range.
func longest(used []bool) (best uint32) {
	run := uint32(0)
	for _, u := range used {
		run++
		if u {
			run = 0
		}
		best = max(best, run)
	}
	return best
}
