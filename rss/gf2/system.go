// Package gf2 is linear algebra over GF(2), the field of two elements, where addition is exclusive or: bit
// vectors, and systems of linear equations solved by elimination.
//
// The Toeplitz hash is linear over GF(2) in the packet's bits for a fixed key, and in the key's
// bits for a fixed packet. So keys can be analysed, generated under constraints, and recovered.
//
// Nothing here is safe for concurrent writes.
package gf2

import (
	"math/bits"
	"slices"
)

// Outcome is what an equation did to a system.
type Outcome uint8

// The outcomes.
const (
	Independent   Outcome = iota // does not follow from the equations so far; was added
	Dependent                    // follows from the equations so far
	Contradiction                // contradicts the equations so far; was not added
)

// System is a set of linear equations that do not contradict each other, in echelon form: the first 1
// of each row is in a column where no later row has one. Make it with NewSystem.
type System struct {
	unknowns, words int
	// rows are concatenated. Bit number unknowns of a row is its right-hand side.
	rows []uint64
	// pivot is, for each unknown, the row that begins there, or -1; at is the inverse.
	pivot   []int32
	at      []int
	scratch Vector
}

// NewSystem returns a system of no equations in this many unknowns, 0 or more.
func NewSystem(unknowns int) *System {
	s := &System{unknowns: unknowns, scratch: Zero(unknowns + 1), pivot: make([]int32, unknowns)}
	s.words = len(s.scratch)
	for i := range s.pivot {
		s.pivot[i] = -1
	}
	return s
}

// Equation returns an empty equation, 0 = 0: bit i is the coefficient of unknown i, bit
// Unknowns the right-hand side.
func (s *System) Equation() Vector { return Zero(s.unknowns + 1) }

// Unknowns returns the number of unknowns.
func (s *System) Unknowns() int { return s.unknowns }

// Rank returns the number of independent equations.
func (s *System) Rank() int { return len(s.at) }

// Add adds an equation. It does not modify its argument.
func (s *System) Add(equation Vector) Outcome {
	copy(s.scratch, equation)
	first := s.reduce(s.scratch)
	if first < 0 {
		return Dependent
	}
	if first == s.unknowns {
		return Contradiction
	}
	s.pivot[first] = int32(len(s.at))
	s.at = append(s.at, first)
	s.rows = append(s.rows, s.scratch...)
	return Independent
}

// reduce subtracts rows from v until it is zero or its first 1 is in a column where no row begins. It returns
// -1 or that column, which is the number of unknowns when only the right-hand side is left.
func (s *System) reduce(v Vector) int {
	for w := range v {
		for v[w] != 0 {
			i := 64*w + bits.TrailingZeros64(v[w])
			if i == s.unknowns || s.pivot[i] < 0 {
				return i
			}
			row := s.row(int(s.pivot[i]))
			for j := w; j < len(row); j++ {
				v[j] ^= row[j]
			}
		}
	}
	return -1
}

func (s *System) row(i int) Vector { return s.rows[i*s.words : (i+1)*s.words] }

// Truncate removes the latest independent equations until rank are left. It panics when
// there are fewer.
func (s *System) Truncate(rank int) {
	for _, i := range s.at[rank:] {
		s.pivot[i] = -1
	}
	s.at = s.at[:rank]
	s.rows = s.rows[:rank*s.words]
}

// Clone returns a copy that shares nothing.
func (s *System) Clone() *System {
	c := *s
	c.rows, c.pivot, c.at = slices.Clone(s.rows), slices.Clone(s.pivot), slices.Clone(s.at)
	c.scratch = slices.Clone(s.scratch)
	return &c
}

// Solution returns one solution. free chooses the value of each unknown that the equations leave open;
// with random choices each solution is equally likely.
func (s *System) Solution(free func(unknown int) bool) Vector {
	x := Zero(s.unknowns)
	for i := s.unknowns - 1; i >= 0; i-- {
		if s.pivot[i] < 0 {
			x.Set(i, free(i))
			continue
		}
		row := s.row(int(s.pivot[i]))
		value := row.Bit(s.unknowns)
		for j := range row.Ones() {
			if j < s.unknowns && j > i && x.Bit(j) {
				value = !value
			}
		}
		x.Set(i, value)
	}
	return x
}

// Determined returns which unknowns have the same value in all solutions.
func (s *System) Determined() Vector {
	determined := Zero(s.unknowns)
	// From the last unknown backwards, eliminate the later pivots from each row with the rows that are reduced already.
	reduced := make([]Vector, s.unknowns)
	for i := s.unknowns - 1; i >= 0; i-- {
		if s.pivot[i] < 0 {
			continue
		}
		row := append(Vector(nil), s.row(int(s.pivot[i]))...)
		for j := range s.row(int(s.pivot[i])).Ones() {
			if j > i && j < s.unknowns && reduced[j] != nil {
				row.Add(reduced[j])
			}
		}
		reduced[i] = row
		row.Set(s.unknowns, false)
		determined.Set(i, row.Weight() == 1)
	}
	return determined
}

// Kernel returns a basis of the solutions of the system with all right-hand sides 0. The sums of a solution
// and vectors of the kernel are all solutions.
func (s *System) Kernel() []Vector {
	homogeneous := s.Clone()
	for i := range s.Rank() {
		homogeneous.row(i).Set(s.unknowns, false)
	}
	var basis []Vector
	for i, row := range s.pivot {
		if row < 0 {
			basis = append(basis, homogeneous.Solution(func(unknown int) bool { return unknown == i }))
		}
	}
	return basis
}

// Nothing chooses 0 for every unknown that is left open.
func Nothing(int) bool { return false }
