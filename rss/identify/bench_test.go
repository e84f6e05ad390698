package identify

import "testing"

// BenchmarkIdentify is of 64 observations, of which the issue asks for 100 ms.
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
