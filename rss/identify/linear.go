package identify

import (
	"math/bits"

	"lbctl/rss"
	"lbctl/rss/gf2"
)

// linear solves for the key under one arrangement of a view.
type linear struct {
	*facts
	Arrangement
	view
	// anyInitial is true when the initial value is unknown too; else it is 0.
	anyInitial bool

	// system has the bits of the key as unknowns, then those of the initial value.
	system    *gf2.System
	fields    []rss.Fields // of each group
	wrong     []int
	equations int
	scratch   gf2.Vector
}

// solveLinear finds fields under which a view has a solution; false when there are none.
func solveLinear(f *facts, a Arrangement, v view, anyInitial bool) (*linear, bool) {
	l := &linear{facts: f, Arrangement: a, view: v, anyInitial: anyInitial, system: gf2.NewSystem(f.keyBits + 32)}
	l.scratch = l.system.Equation()
	return l, l.solve(0)
}

// evidence is the number of bits that could have contradicted the solution.
func (l *linear) evidence() float64 { return float64(l.equations - l.system.Rank()) }

// solve finds fields for the groups from the n-th on, and adds their observations. If there are none it restores
// the state.
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

// take adds a group; false when too many of its observations contradict.
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

// add adds one observation, or none of its equations if one contradicts.
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

// parity is one linear equation about a hash: the parity of its bits under the mask.
type parity struct {
	mask uint32
	odd  bool
}

// hashParities are the equations of a known hash: one for each bit in use.
func hashParities(hash, use uint32) []parity {
	all := make([]parity, 0, 32)
	for bit := range 32 {
		if mask := uint32(1) << bit; use&mask != 0 {
			all = append(all, parity{mask, hash&mask != 0})
		}
	}
	return all
}

// queueParities are the equations of each queue. An unknown table (nil)
// is assumed to be filled in turn, with a size that is a multiple of the largest power of two that
// divides the number of queues.
func queueParities(table rss.Table, queues int) [][]parity {
	if table != nil {
		return tableParities(table)
	}
	all := make([][]parity, queues)
	for q := range all {
		all[q] = hashParities(uint32(q), uint32(queues&-queues-1))
	}
	return all
}

// tableParities finds, for each queue, the parities of index bits that are the same in all its entries.
func tableParities(table rss.Table) [][]parity {
	known := len(table) & -len(table) // hash and index are the same modulo this
	width := bits.Len(uint(known)) - 1
	first := make([]int, table.Queues())
	systems := make([]*gf2.System, len(first))
	for i, q := range table {
		if systems[q] == nil {
			first[q], systems[q] = i%known, gf2.NewSystem(width)
		}
		systems[q].Add(gf2.Vector{uint64(i%known ^ first[q])}) // width is at most 16: one word
	}
	all := make([][]parity, len(first))
	for q, s := range systems {
		if s == nil || width == 0 {
			continue
		}
		for _, v := range s.Kernel() {
			mask := uint32(v[0])
			all[q] = append(all[q], parity{mask, bits.OnesCount32(mask&uint32(first[q]))%2 == 1})
		}
	}
	return all
}
