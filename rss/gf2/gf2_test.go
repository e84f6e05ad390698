package gf2

import (
	"maps"
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// brute is the definition of a system: the list of its solutions, of at most 10 unknowns.
type brute struct {
	unknowns  int
	equations []uint64
}

func (b brute) solutions() (all []uint64) {
	for x := range uint64(1) << b.unknowns {
		if !slices.ContainsFunc(b.equations, func(e uint64) bool {
			return bits.OnesCount64(e&(x|1<<b.unknowns))%2 == 1
		}) {
			all = append(all, x)
		}
	}
	return all
}

// TestSystemAgainstEnumeration adds random equations and asks for all that a system says.
func TestSystemAgainstEnumeration(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 10).Draw(t, "unknowns")
		s, b := NewSystem(n), brute{unknowns: n}
		for _, e := range rapid.SliceOfN(rapid.Uint64Range(0, 1<<(n+1)-1), 0, 14).Draw(t, "equations") {
			before := b.solutions()
			after := brute{n, append(slices.Clone(b.equations), e)}.solutions()
			want := Independent
			switch len(after) {
			case 0:
				want = Contradiction
			case len(before):
				want = Dependent
			}
			if got := s.Add(Vector{e}); got != want {
				t.Fatalf("adding %b: %v, want %v", e, got, want)
			}
			if want != Contradiction {
				b.equations = append(b.equations, e)
			}
			compare(t, s, b)
		}
	})
}

func compare(t *rapid.T, s *System, b brute) {
	all := b.solutions()
	if len(all) != 1<<(b.unknowns-s.Rank()) {
		t.Fatalf("rank %d of %d unknowns, but %d solutions", s.Rank(), b.unknowns, len(all))
	}
	choice := rapid.Uint64().Draw(t, "choice")
	x := append(s.Solution(func(i int) bool { return choice>>i&1 == 1 }), 0)[0] // no words without unknowns
	if !slices.Contains(all, x) {
		t.Fatalf("%b is no solution, want one of %b", x, all)
	}
	reached := map[uint64]bool{x: true}
	for _, k := range s.Kernel() {
		for y := range maps.Clone(reached) {
			reached[y^k[0]] = true
		}
	}
	if got := slices.Sorted(maps.Keys(reached)); !slices.Equal(got, all) {
		t.Fatalf("solution and kernel make %b, want %b", got, all)
	}
	ones, zeros := ^uint64(0), ^uint64(0)
	for _, x := range all {
		ones, zeros = ones&x, zeros&^x
	}
	want := (ones | zeros) & (1<<b.unknowns - 1)
	if got := append(s.Determined(), 0)[0]; got != want {
		t.Fatalf("determined %b, want %b", got, want)
	}
}

// TestFreeChoicesReachEverySolution: random choices make every solution equally likely.
func TestFreeChoicesReachEverySolution(t *testing.T) {
	s := NewSystem(4)
	s.Add(Vector{0b1_0011})
	reached := map[uint64]int{}
	for choice := range uint64(16) {
		reached[s.Solution(func(i int) bool { return choice>>i&1 == 1 })[0]]++
	}
	if len(reached) != 8 {
		t.Errorf("%d of 8 solutions were reached", len(reached))
	}
	for x, n := range reached {
		if n != 2 {
			t.Errorf("solution %b was reached %d times, want 2", x, n)
		}
	}
}

// TestTruncate: a system that took equations back is the one before, and a clone stays as it was.
func TestTruncate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		equation := rapid.SliceOfN(rapid.Uint64(), 3, 3)
		s := NewSystem(130)
		for _, e := range rapid.SliceOfN(equation, 0, 20).Draw(t, "before") {
			s.Add(mask(e))
		}
		before, rank := s.Clone(), s.Rank()
		for _, e := range rapid.SliceOfN(equation, 0, 20).Draw(t, "taken back") {
			s.Add(mask(e))
		}
		s.Truncate(rank)
		if s.Rank() != rank {
			t.Fatalf("rank %d, want %d", s.Rank(), rank)
		}
		for _, e := range rapid.SliceOfN(equation, 0, 20).Draw(t, "after") {
			if got, want := s.Add(mask(e)), before.Add(mask(e)); got != want {
				t.Fatalf("%v after taking back, %v without", got, want)
			}
		}
		if a, b := s.Solution(Nothing), before.Solution(Nothing); !slices.Equal(a, b) {
			t.Fatalf("%x after taking back, %x without", a, b)
		}
	})
}

// mask clears what lies behind 130 unknowns and the right-hand side.
func mask(e []uint64) Vector {
	v := slices.Clone(e)
	v[2] &= 1<<3 - 1
	return v
}

func BenchmarkAdd(b *testing.B) {
	random := Zero(352)
	state := uint64(1)
	for b.Loop() {
		s := NewSystem(351)
		for range 512 {
			for w := range random {
				state = state*6364136223846793005 + 1442695040888963407
				random[w] = state ^ state>>29
			}
			random[5] &= 1<<32 - 1
			s.Add(random)
		}
	}
}

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
