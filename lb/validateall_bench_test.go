package lb_test

import (
	"net/netip"
	"testing"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// thousand returns 1,000 services of 100 replicas each, and limits that hold them.
func thousand() (all []lb.Service, l lb.Limits) {
	for i := range 1000 {
		s := lb.Service{VIP: lb.VIP{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), 80), Protocol: packet.TCP}}
		for r := range 100 {
			n := 100*i + r
			s.Replicas = append(s.Replicas, lb.Replica{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 80)})
		}
		all = append(all, s.WithDefaults())
	}
	return all, lb.Limits{Services: 1 << 10, Replicas: 1 << 17, Slots: 1 << 20}
}

func BenchmarkValidateAll(b *testing.B) {
	all, limits := thousand()
	for b.Loop() {
		if err := lb.ValidateAll(all, limits); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkValidateChange looks at one service of them.
func BenchmarkValidateChange(b *testing.B) {
	all, limits := thousand()
	next := append([]lb.Service(nil), all...)
	next[500] = next[500].Clone()
	next[500].Replicas[3].State, next[500].TableSize = lb.Draining, 99
	for b.Loop() {
		if err := lb.ValidateChange(all, next, limits); err != nil {
			b.Fatal(err)
		}
	}
}
