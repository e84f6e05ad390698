package identify

import (
	"fmt"

	"lbctl/rss"
	"lbctl/rss/gf2"
)

// affine says of each class of packets whether the hash can be any affine function of the tuple at all, as
// Toeplitz, xor and crc32 are under any key. That shows only when there are more observations than the tuples
// have independent bits, as with one client's ports.
func (f *facts) affine(members []int) (notes []string) {
	for _, g := range f.view(Arrangement{}, members, 0).groups {
		broken, evidence := f.affineGroup(g)
		switch {
		case broken >= 0:
			notes = append(notes, fmt.Sprintf("%s: the hash is no affine function of the tuple, as Toeplitz, xor and crc32 are (first seen at %s)",
				g.class, f.observations[broken].name(broken)))
		case evidence >= enough:
			notes = append(notes, fmt.Sprintf("%s: the hash is an affine function of the tuple, but none that is known (%d bits of evidence)", g.class, evidence))
		}
	}
	return notes
}

// affineGroup solves for 32 affine functions, one for each bit of the hash. It returns the first
// observation that contradicts (or -1), or the evidence.
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
