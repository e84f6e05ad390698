package gf2

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestAddShifted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := Vector(rapid.SliceOfN(rapid.Uint64(), 4, 4).Draw(t, "v"))
		w := Vector(rapid.SliceOfN(rapid.Uint64(), 2, 2).Draw(t, "w"))
		n := rapid.IntRange(0, 128).Draw(t, "n")
		want := slices.Clone(v)
		for i := range w.Ones() {
			want.Flip(i + n)
		}
		if v.AddShifted(w, n); !slices.Equal(v, want) {
			t.Errorf("got %x, want %x", v, want)
		}
	})
}

func TestSetAndWeight(t *testing.T) {
	v := Zero(129)
	if len(v) != 3 {
		t.Fatalf("%d words for 129 bits, want 3", len(v))
	}
	for _, i := range []int{0, 63, 64, 128} {
		v.Set(i, true)
		v.Set(i, true)
	}
	v.Set(63, false)
	if got := slices.Collect(v.Ones()); !slices.Equal(got, []int{0, 64, 128}) || v.Weight() != 3 {
		t.Errorf("ones at %v, weight %d; want 0, 64, 128", got, v.Weight())
	}
}

// TestRank counts what the vectors span.
func TestRank(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vectors := rapid.SliceOfN(rapid.Uint32Range(0, 63), 0, 8).Draw(t, "vectors")
		span := map[uint32]bool{0: true}
		for _, v := range vectors {
			for x := range span {
				span[x^v] = true
			}
		}
		if got := Rank(vectors); 1<<got != len(span) {
			t.Errorf("rank %d, but %d vectors are spanned", got, len(span))
		}
	})
}
