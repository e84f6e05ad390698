package identify

import (
	"fmt"
	"math"

	"lbctl/rss"
	"lbctl/rss/gf2"
)

// fewestPairs is the number of pairs of known key bits that must agree for a repetition. By chance that happens in
// one of 2^32 cases.
const fewestPairs = 32

// Range is a run of bits of a key, both ends included; bit 0 is the most significant one of byte 0.
type Range struct{ First, Last int }

// String returns "0-319", or "319" for one bit.
func (r Range) String() string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// Undetermined returns the bits of the key that do not follow from the observations.
func (m *Model) Undetermined() (ranges []Range) {
	for i := range 8 * len(m.Key) {
		switch n := len(ranges); {
		case m.knows(i):
		case n > 0 && ranges[n-1].Last == i-1:
			ranges[n-1].Last = i
		default:
			ranges = append(ranges, Range{i, i})
		}
	}
	return ranges
}

func (m *Model) knows(bit int) bool {
	return bit/8 < len(m.Known) && m.Known[bit/8]>>(7-bit%8)&1 == 1
}

// notes describe peculiarities of a model's key and initial value.
func (m *Model) notes() (notes []string) {
	if m.Initial == math.MaxUint32 {
		notes = append(notes, "the initial value is all ones, ENA's default")
	}
	if p := m.period(); p == 4*len(m.Key) {
		notes = append(notes, "the halves of the key are duplicates of each other")
	} else if p > 0 {
		notes = append(notes, fmt.Sprintf("the key repeats every %d bits", p))
	}
	return notes
}

// period is the smallest number of bits, 8 or a multiple, at most half the key, after which the known bits of the key
// repeat; 0 if they do not, or too few are known.
func (m *Model) period() int {
	bit := func(i int) bool { return m.Key[i/8]>>(7-i%8)&1 == 1 }
	for p := 8; p <= 4*len(m.Key); p += 8 {
		pairs, repeats := 0, true
		for i := 0; repeats && i+p < 8*len(m.Key); i++ {
			if m.knows(i) && m.knows(i+p) {
				pairs++
				repeats = bit(i) == bit(i+p)
			}
		}
		if repeats && pairs >= fewestPairs {
			return p
		}
	}
	return 0
}

// affine notes for each class of packets whether the hash can be an affine function of the tuple, as
// Toeplitz, xor and crc32 are under any key. That is decided only when there are more observations than
// independent bits in the tuples, as with the ports of one client.
func (f *facts) affine(members []int) (notes []string) {
	for _, g := range f.view(Arrangement{}, members, 0).groups {
		broken, evidence := f.affineGroup(g)
		switch {
		case broken >= 0:
			notes = append(notes, fmt.Sprintf("%s: the hash is not an affine function of the tuple, unlike Toeplitz, xor and crc32 (first contradiction at %s)",
				g.class, f.observations[broken].name(broken)))
		case evidence >= Enough:
			notes = append(notes, fmt.Sprintf("%s: the hash is an affine function of the tuple, but not a known one (%d bits of evidence)", g.class, evidence))
		}
	}
	return notes
}

// affineGroup solves for 32 affine functions, one for each bit of the hash. It returns the first
// observation that contradicts them, or -1 and the evidence.
func (f *facts) affineGroup(g group) (broken, evidence int) {
	fields := rss.FourTuple
	systems := make([]*gf2.System, 32)
	for j := range systems {
		systems[j] = gf2.NewSystem(8*f.longest + 1)
	}
	for n, i := range g.members {
		input := pack(Arrangement{}.input(&f.observations[i], fields))
		for j, s := range systems {
			e := s.Equation()
			e.Add(input)
			e.Flip(8 * f.longest) // the constant
			e.Set(s.Unknowns(), f.observations[i].Hash>>j&1 == 1)
			if s.Add(e) == gf2.Contradiction {
				return i, 0
			}
		}
		evidence = 32 * (n + 1 - systems[0].Rank())
	}
	return -1, evidence
}
