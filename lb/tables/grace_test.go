package tables

import (
	"slices"
	"testing"
)

// What is deferred is done once, in order, and only by Free; a grace period leaves no readers.
func TestGrace(t *testing.T) {
	var g Grace
	var done []int
	g.Changed()
	for i := range 3 {
		g.Defer(func() { done = append(done, i) })
	}
	if !g.Readers() || !g.Deferred() {
		t.Errorf("after a change: readers %v, deferred %v, want both", g.Readers(), g.Deferred())
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if g.Readers() || len(done) > 0 {
		t.Errorf("after the grace period: readers %v, done %v, want none", g.Readers(), done)
	}
	g.Free()
	g.Free()
	if want := []int{0, 1, 2}; !slices.Equal(done, want) || g.Deferred() {
		t.Errorf("done %v, want %v once", done, want)
	}
}
