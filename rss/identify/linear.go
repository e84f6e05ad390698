package identify

import (
	"math/bits"

	"lbctl/rss"
	"lbctl/rss/gf2"
)

// linear solves a view for one arrangement and an unknown key.
type linear struct {
	*facts
	Arrangement
	view
	// anyInitial says that the initial value is unknown too; else it is 0.
	anyInitial bool

	// system is of the bits of the key, then those of the initial value.
	system    *gf2.System
	fields    []rss.Fields // of each group
	wrong     []int
	equations int
	scratch   gf2.Vector
}

// solveLinear finds the fields under which a view does not contradict itself; false when there are none.
func solveLinear(f *facts, a Arrangement, v view, anyInitial bool) (*linear, bool) {
	l := &linear{facts: f, Arrangement: a, view: v, anyInitial: anyInitial, system: gf2.NewSystem(f.keyBits + 32)}
	l.scratch = l.system.Equation()
	return l, l.solve(0)
}

// evidence is the number of bits that could have contradicted.
func (l *linear) evidence() float64 { return float64(l.equations - l.system.Rank()) }

// solve finds fields for the groups from the n-th on, and takes their observations in. Without success
// the state is as before.
func (l *linear) solve(n int) bool {
	if n == len(l.groups) {
		return true
	}
	rank, wrong, equations := l.system.Rank(), len(l.wrong), l.equations
	for _, fields := range l.groups[n].subsets {
		l.fields = append(l.fields[:n], fields)
		if l.take(l.groups[n], fields) && l.solve(n+1) {
			return true
		}
		l.system.Truncate(rank)
		l.wrong, l.equations = l.wrong[:wrong], equations
	}
	return false
}

// take takes in a group; false when too many of it contradict.
func (l *linear) take(g group, fields rss.Fields) bool {
	before := len(l.wrong)
	for seen, i := range g.members {
		if l.add(i, fields) {
			continue
		}
		l.wrong = append(l.wrong, i)
		if l.tooMany(len(l.wrong)-before, seen+1, g) {
			return false
		}
	}
	return true
}

// add takes in one observation, or nothing of it if it contradicts.
func (l *linear) add(i int, fields rss.Fields) bool {
	input := pack(l.input(&l.observations[i], fields))
	rank := l.system.Rank()
	for _, p := range l.parities[i] {
		clear(l.scratch)
		for mask := l.Output.undo(p.mask); mask != 0; mask &= mask - 1 {
			j := bits.LeadingZeros32(mask & -mask)
			l.scratch.AddShifted(input, j)
			if l.anyInitial {
				l.scratch.Flip(l.keyBits + j)
			}
		}
		if p.odd {
			l.scratch.Flip(l.system.Unknowns())
		}
		if l.system.Add(l.scratch) == gf2.Contradiction {
			l.system.Truncate(rank)
			return false
		}
	}
	l.equations += len(l.parities[i])
	return true
}

// undo turns a mask of the output's bits into one of the hash's.
func (o Output) undo(mask uint32) uint32 {
	if o == BytesSwapped {
		return bits.ReverseBytes32(mask)
	}
	return mask
}

// pack turns bytes into a vector, the most significant bit of byte 0 first.
func pack(input []byte) gf2.Vector {
	v := gf2.Zero(8 * len(input))
	for i, b := range input {
		v[i/8] |= uint64(bits.Reverse8(b)) << (i % 8 * 8)
	}
	return v
}
