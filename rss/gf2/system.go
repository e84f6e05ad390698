package gf2

import (
	"math/bits"
	"slices"
)

// Outcome is what an equation did to a system.
type Outcome uint8

// The outcomes.
const (
	Independent   Outcome = iota // says something new; was added
	Dependent                    // follows from those before
	Contradiction                // contradicts those before; was not added
)

// System is a set of linear equations that do not contradict each other. It is kept in echelon form:
// each row begins with a 1 at a place where no later row has one. Make it with NewSystem.
type System struct {
	unknowns, words int
	// rows lie one behind the other. Bit unknowns of a row is its right-hand side.
	rows []uint64
	// pivot is, for each unknown, the row that begins there, or -1; at is its inverse.
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

// Add adds an equation, which it leaves as it is.
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

// reduce subtracts rows from v until it is zero (-1), or begins at a place where no row does,
// which it returns; that is unknowns when only the right-hand side is left.
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

// Truncate takes back the latest independent equations until rank are left. It panics when
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
