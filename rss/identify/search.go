package identify

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"

	"lbctl/rss"
)

// Enough is the evidence in bits from which a model is accepted: one of the some thousand wrong models that are
// tried gets there in one of a million cases.
const Enough = 32

const (
	// sample is the most observations of each class that the search uses. The model is then applied to all.
	sample = 512
	// trials is the number of random orders that are tried when some observations are wrong.
	trials = 64
	// near is how much less evidence than the best another model may have to be reported too.
	near = 16
)

// search looks for the model that explains the observations best.
type search struct {
	*facts
	distinct   []int
	candidates []candidate
	seed       uint64

	best   *found
	others []Arrangement
	notes  []string
}

// found is a model that fits a view.
type found struct {
	Arrangement
	view
	known      *known // nil if the key was solved for
	anyInitial bool
	fields     []rss.Fields
	wrong      []int
	evidence   float64
}

func (m *found) score() float64 { return score(m.evidence, m.size(), len(m.wrong)) }

// run searches for a model that explains all observations, then with fewer bits of the hash, then with wrong
// observations.
func (s *search) run() Verdict {
	members := s.sampled()
	all := s.try(members, 0, s.candidates, true)
	if s.choose(all) {
		return Identified
	}
	if s.byHash {
		for _, narrow := range s.narrower() {
			fewer := *s
			fewer.facts = s.using(narrow.use)
			if fewer.choose(fewer.try(members, 0, s.candidates, true)) {
				fewer.notes = append(fewer.notes, narrow.note)
				*s = fewer
				return Identified
			}
		}
	}
	if s.choose(s.tolerant(members)) {
		return Identified
	}
	if len(all) > 0 {
		s.pick(all)
		return Undetermined
	}
	s.best = nil
	return Unexplained
}

// choose picks the best of some models and tells whether its evidence is enough.
func (s *search) choose(all []*found) bool {
	s.best, s.others = nil, nil
	if len(all) == 0 {
		return false
	}
	s.pick(all)
	return !notEnough(s.best.score())
}

// pick picks the best model, and the arrangements of those that are about as good.
func (s *search) pick(all []*found) {
	slices.SortStableFunc(all, func(a, b *found) int { return cmp.Compare(b.score(), a.score()) })
	s.best, s.others = all[0], nil
	for _, m := range all[1:] {
		if m.score() >= s.best.score()-near && m.Arrangement != s.best.Arrangement && !slices.Contains(s.others, m.Arrangement) {
			s.others = append(s.others, m.Arrangement)
		}
	}
}

// try returns the models that fit the members, taken in this order.
func (s *search) try(members []int, tolerance float64, candidates []candidate, unknown bool) (all []*found) {
	unknown = unknown && s.linearBits() > 0
	for _, a := range arrangements(s.inner) {
		v := s.view(a, members, tolerance)
		for _, k := range fitKnown(s.facts, a, v, candidates) {
			all = append(all, &found{Arrangement: a, view: v, known: &k, fields: k.fields, wrong: k.wrong, evidence: k.evidence})
		}
		if !unknown || a.Output == BytesSwapped && !s.byHash {
			continue // the few bits of a queue do not show the byte order of the hash
		}
		for _, anyInitial := range []bool{true, false} {
			l, ok := solveLinear(s.facts, a, v, anyInitial)
			if !ok {
				break // a solution without initial value would be one of these
			}
			all = append(all, &found{Arrangement: a, view: v, anyInitial: anyInitial, fields: l.fields, wrong: l.wrong, evidence: l.evidence()})
		}
	}
	return all
}

// tolerant tries again with some observations allowed to be wrong.
func (s *search) tolerant(members []int) []*found {
	all := s.try(members, Tolerance, s.candidates, false)
	random := rand.New(rand.NewPCG(s.seed, 0))
	for range trials {
		if slices.ContainsFunc(all, func(m *found) bool { return !notEnough(m.score()) }) {
			break
		}
		order := slices.Clone(members)
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		all = append(all, s.try(order, Tolerance, nil, true)...)
	}
	return all
}

// narrowing is a subset of the bits of the hash that a NIC may report.
type narrowing struct {
	use  uint32
	note string
}

// narrower finds bits of the hashes that are constant or copies of others.
func (s *search) narrower() (all []narrowing) {
	var varies, halves uint32
	first := s.observations[s.distinct[0]].Hash
	for _, i := range s.distinct {
		h := s.observations[i].Hash
		varies |= h ^ first
		halves |= h>>16 ^ h&0xffff
	}
	if halves == 0 {
		all = append(all, narrowing{0xffff, "the two halves of every hash are equal: only 16 bits are reported; if they are the high ones, the key begins 16 bits later"})
	}
	if ^varies != 0 {
		all = append(all, narrowing{varies, "some bits of the hash are constant and were ignored: those outside " + fmt.Sprintf("%#08x", varies)})
	}
	return all
}

// sampled returns evenly spaced observations of every class, at most sample of each.
func (s *search) sampled() (some []int) {
	type classes struct{ outer, inner string }
	byClass := map[classes][]int{}
	var order []classes
	for _, i := range s.distinct {
		o := &s.observations[i]
		c := classes{class(o.Flow, o.Input), class(o.Inner, nil)}
		if byClass[c] == nil {
			order = append(order, c)
		}
		byClass[c] = append(byClass[c], i)
	}
	for _, c := range order {
		all := byClass[c]
		for n := range min(sample, len(all)) {
			some = append(some, all[n*len(all)/min(sample, len(all))])
		}
	}
	slices.Sort(some)
	return some
}
