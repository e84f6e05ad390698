package ring

import (
	"net/netip"

	"lbctl/lb"
)

// replicas returns n replicas of weight 1 at neighbouring addresses.
func replicas(n int) []lb.Replica {
	rs := make([]lb.Replica, n)
	for i := range rs {
		a := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		rs[i] = lb.Replica{Address: netip.AddrPortFrom(a, 8080), Weight: 1}
	}
	return rs
}
