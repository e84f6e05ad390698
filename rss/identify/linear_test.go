package identify

import (
	"testing"

	"lbctl/rss/gf2"
)

// TestContradictingObservationLeavesNothing: if the second equation of an observation contradicts, the
// first one is removed too.
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

// BenchmarkIdentify identifies from 64 observations; at most 100 ms are acceptable.
func BenchmarkIdentify(b *testing.B) {
	for _, c := range []struct {
		name    string
		classes []string
		wrong   bool
	}{{"ipv4", []string{"tcp4"}, false}, {"ipv6", []string{"tcp6"}, false}, {"mixed", []string{"tcp4", "udp6", "tcp6", "udp4"}, false}, {"ipv6 with wrong ones", []string{"tcp6"}, true}} {
		b.Run(c.name, func(b *testing.B) {
			r := source(b)
			all := observe(r, 64, plain(randomKey(r, 40)), c.classes...)
			if c.wrong {
				spoil(all, 5, 2)
			}
			for b.Loop() {
				if got, err := Identify(all, Options{}); err != nil || got.Verdict != Identified {
					b.Fatal(got, err)
				}
			}
		})
	}
}
