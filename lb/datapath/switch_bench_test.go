package datapath

import (
	"net/netip"
	"testing"

	"lbctl/lb"
)

// hundred returns a Maglev service with 65,537 slots and 100 replicas, and with one less.
func hundred(t lb.Tracking) (full, less lb.Service) {
	full = lb.Service{VIP: lb.VIP{Address: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: 6}, Scheduler: lb.Maglev, Tracking: t}
	for i := range byte(100) {
		full.Replicas = append(full.Replicas, lb.Replica{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, 0, i + 1}), 80)})
	}
	full = full.WithDefaults()
	less = full.Clone()
	less.Replicas = less.Replicas[1:]
	return full, less
}

// BenchmarkSwitch replaces a Maglev table of 65,537 slots and 100 replicas by one of
// 99: the time from the call to the switch, after which packets see the new table.
func BenchmarkSwitch(b *testing.B) {
	for _, tracking := range []lb.Tracking{lb.Stateless, lb.TrackChanges} {
		b.Run(tracking.String(), func(b *testing.B) {
			inNamespace(b)
			veth(b, "up", "10.1.0.254/24")
			d := open(b, Options{})
			full, less := hundred(tracking)
			if err := d.SetService(b.Context(), full); err != nil {
				b.Fatal(err)
			}
			for i := 0; b.Loop(); i++ {
				if err := d.SetService(b.Context(), []lb.Service{less, full}[i%2]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
