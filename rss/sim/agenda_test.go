package sim

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestAgenda: the tree finds the same timer as a search over all of them.
func TestAgenda(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "timers")
		a := newAgenda(n)
		naive := slices.Repeat([]time.Duration{never}, n)
		for range rapid.IntRange(1, 200).Draw(t, "settings") {
			timer := rapid.IntRange(0, n-1).Draw(t, "timer")
			at := rapid.OneOf(rapid.Just(never), rapid.Map(rapid.Int64Range(0, 20), func(v int64) time.Duration { return time.Duration(v) })).Draw(t, "at")
			naive[timer] = at
			a.set(int32(timer), at)
			got, gotAt := a.first()
			want := slices.Index(naive, slices.Min(naive))
			if gotAt != naive[want] || gotAt != never && int(got) != want {
				t.Fatalf("first is %d at %v, want %d at %v of %v", got, gotAt, want, naive[want], naive)
			}
		}
	})
}

// TestFIFO: elements come out in order, and a full buffer says so.
func TestFIFO(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 9).Draw(t, "limit")
		f := newFIFO[int](limit)
		var naive []int
		for i := range rapid.IntRange(1, 100).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "push") && !f.full() {
				f.push(i)
				naive = append(naive, i)
			} else if !f.empty() {
				if got := f.pop(); got != naive[0] {
					t.Fatalf("got %d, want %d", got, naive[0])
				}
				naive = naive[1:]
			}
			if f.len() != len(naive) || f.full() != (len(naive) == limit) || f.empty() != (len(naive) == 0) {
				t.Fatalf("%d in it, want %d of %d", f.len(), len(naive), limit)
			}
		}
	})
}
