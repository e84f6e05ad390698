package identify

import (
	"bytes"
	"math/bits"
	"slices"

	"lbctl/rss"
	"lbctl/rss/gf2"
)

// model applies the best model found to all observations, and returns what they determine.
func (s *search) model(o Options) *Model {
	b := s.best
	v := s.everything(b)
	m := &Model{Function: "toeplitz", Arrangement: b.Arrangement}
	fields, evidence := b.fields, 0.0
	if b.known != nil {
		k := *b.known
		k.fields, k.wrong = nil, nil
		k.fit(s.facts, v, s.inputs(b.Arrangement, v)) // the view tolerates everything, so it fits
		m.known(&k, s.queues)
		fields, evidence = k.fields, k.evidence
		v = v.without(k.wrong)
	}
	l, _ := solveLinear(s.facts, b.Arrangement, v, b.anyInitial || m.Initial != 0) // the view tolerates everything
	if b.known == nil {
		fields, evidence = l.fields, l.evidence()
		m.Wrong = slices.Sorted(slices.Values(l.wrong))
	}
	m.Evidence = int(evidence)
	for n, g := range s.everything(b).groups {
		wrong := 0
		for _, i := range g.members {
			if slices.Contains(m.Wrong, i) {
				wrong++
			}
		}
		m.Classes = append(m.Classes, ClassFields{g.class, fields[n], len(g.members), wrong, s.alsoFields(b, n)})
	}
	if m.Function == "toeplitz" {
		s.secret(m, l, o)
	}
	return m
}

// known sets the fields of the model from a known function.
func (m *Model) known(k *known, queues int) {
	m.Function, m.Initial = k.function, k.initial
	m.Key, m.KeyName = bytes.Clone(k.key.Key), k.key.Name
	if k.table != nil && queues&(queues-1) != 0 { // else the size does not matter
		m.TableSize = len(k.table)
	}
	m.Wrong = slices.Sorted(slices.Values(k.wrong))
}

// everything is the view of all distinct observations, those of the search first in its order, with the fields of the
// model only.
func (s *search) everything(b *found) view {
	var order []int
	taken := make([]bool, len(s.observations))
	for _, g := range b.groups {
		order = append(order, g.members...)
	}
	for _, i := range order {
		taken[i] = true
	}
	for _, i := range s.distinct {
		if !taken[i] {
			order = append(order, i)
		}
	}
	v := s.view(b.Arrangement, order, 1)
	for n := range v.groups {
		for i, g := range b.groups {
			if g.class == v.groups[n].class {
				v.groups[n].subsets = []rss.Fields{b.fields[i]}
			}
		}
	}
	return v
}

// secret sets key and initial value from the equations.
func (s *search) secret(m *Model, l *linear, o Options) {
	if m.Key == nil {
		length := max(o.KeyLength, rss.MinKeyLength)
		if o.KeyLength == 0 {
			length = max(length, (s.keyBits+7)/8)
		}
		m.Key = make(rss.Key, length)
	}
	m.Known = make([]byte, len(m.Key))
	determined, solution := l.system.Determined(), l.system.Solution(gf2.Nothing)
	for i := range min(s.keyBits, 8*len(m.Key)) {
		if determined.Bit(i) {
			m.Known[i/8] |= 0x80 >> (i % 8)
		}
		if m.KeyName == "" && solution.Bit(i) {
			m.Key[i/8] |= 0x80 >> (i % 8)
		}
	}
	for j := range 32 {
		if l.anyInitial && determined.Bit(s.keyBits+j) {
			m.InitialKnown |= 1 << (31 - j)
		}
		if m.KeyName == "" && solution.Bit(s.keyBits+j) {
			m.Initial |= 1 << (31 - j)
		}
	}
	if m.KeyName == "" {
		m.Freedom = s.freedom(l)
	}
}

// freedom is the number of unknowns in the equations that they do not determine.
func (s *search) freedom(l *linear) int {
	var masks uint32
	for _, parities := range s.parities {
		for _, p := range parities {
			masks |= l.Output.undo(p.mask)
		}
	}
	if masks == 0 {
		return 0
	}
	lowest, highest := bits.LeadingZeros32(masks), 31-bits.TrailingZeros32(masks)
	n := 8*s.longest + highest - lowest
	if l.anyInitial {
		n += bits.OnesCount32(masks)
	}
	return n - l.system.Rank()
}

// alsoFields are the other fields of the n-th group of a model that explain the observations as well.
func (s *search) alsoFields(b *found, n int) (also []rss.Fields) {
	for _, other := range b.groups[n].subsets {
		if other == b.fields[n] {
			continue
		}
		v := b.view
		v.groups = slices.Clone(b.groups)
		for i := range v.groups {
			v.groups[i].subsets = []rss.Fields{b.fields[i]}
		}
		v.groups[n].subsets = []rss.Fields{other}
		evidence, ok := s.again(b, v)
		if ok && evidence >= b.evidence-near {
			also = append(also, other)
		}
	}
	return also
}

// again fits a model to another view.
func (s *search) again(b *found, v view) (evidence float64, ok bool) {
	if b.known != nil {
		k := *b.known
		k.fields, k.wrong = nil, nil
		ok = k.fit(s.facts, v, s.inputs(b.Arrangement, v))
		return k.evidence, ok
	}
	l, ok := solveLinear(s.facts, b.Arrangement, v, b.anyInitial)
	return l.evidence(), ok
}
