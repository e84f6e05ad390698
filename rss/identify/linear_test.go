package identify

import (
	"testing"

	"lbctl/rss/gf2"
)

// TestContradictingObservationLeavesNothing: of an observation that contradicts in its second equation the
// first one is taken back.
func TestContradictingObservationLeavesNothing(t *testing.T) {
	f := &facts{
		observations: []Observation{{Input: []byte{0x80}}, {Input: []byte{0x01}}},
		parities:     [][]parity{{{1, true}}, {{1, true}, {1, false}}},
		keyBits:      8 + 31, longest: 1,
	}
	l := &linear{facts: f, system: gf2.NewSystem(f.keyBits + 32)}
	l.scratch = l.system.Equation()
	if !l.add(0, 0) || l.system.Rank() != 1 {
		t.Fatalf("the first observation: rank %d", l.system.Rank())
	}
	if l.add(1, 0) || l.system.Rank() != 1 || l.equations != 1 {
		t.Errorf("rank %d with %d equations, want 1 with 1", l.system.Rank(), l.equations)
	}
}
