package reconcile

import (
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// backend is what a nat service has for itself: its answers are recognised by it.
type backend struct {
	replica  netip.AddrPort
	protocol packet.Protocol
}

// claims say which services stand in the way of another. Two services exclude each
// other when both have one nat backend, or when a replica of one has the address of the other.
type claims struct {
	backends map[backend]lb.VIP
	// vips and replicas count, by address, the VIPs that have it and the VIPs with a replica that has it.
	vips, replicas map[netip.Addr]map[lb.VIP]int
}

func newClaims() claims {
	return claims{
		backends: map[backend]lb.VIP{},
		vips:     map[netip.Addr]map[lb.VIP]int{},
		replicas: map[netip.Addr]map[lb.VIP]int{},
	}
}

func (c claims) add(s lb.Service) {
	count(c.vips, s.VIP.Address.Addr(), s.VIP, 1)
	for _, r := range s.Replicas {
		count(c.replicas, r.Address.Addr(), s.VIP, 1)
		if s.Mode == lb.NAT {
			c.backends[backend{r.Address, s.VIP.Protocol}] = s.VIP
		}
	}
}

func (c claims) remove(s lb.Service) {
	count(c.vips, s.VIP.Address.Addr(), s.VIP, -1)
	for _, r := range s.Replicas {
		count(c.replicas, r.Address.Addr(), s.VIP, -1)
		if b := (backend{r.Address, s.VIP.Protocol}); c.backends[b] == s.VIP {
			delete(c.backends, b)
		}
	}
}

// count adds n to the entry of address and vip, and forgets entries of zero.
func count(m map[netip.Addr]map[lb.VIP]int, a netip.Addr, vip lb.VIP, n int) {
	if m[a] == nil {
		m[a] = map[lb.VIP]int{}
	}
	m[a][vip] += n
	if m[a][vip] == 0 {
		delete(m[a], vip)
	}
}

// blocker returns a VIP that must change or go before s can be set.
func (c claims) blocker(s lb.Service) (lb.VIP, bool) {
	if vip, ok := other(c.replicas[s.VIP.Address.Addr()], s.VIP); ok {
		return vip, true
	}
	for _, r := range s.Replicas {
		if vip, ok := c.taken(s, r); ok {
			return vip, true
		}
	}
	return lb.VIP{}, false
}

// taken returns the other VIP because of which s cannot have r.
func (c claims) taken(s lb.Service, r lb.Replica) (lb.VIP, bool) {
	vip, held := c.backends[backend{r.Address, s.VIP.Protocol}]
	if held && vip != s.VIP && s.Mode == lb.NAT {
		return vip, true
	}
	return other(c.vips[r.Address.Addr()], s.VIP)
}

// other returns the first VIP of the set that is not vip.
func other(set map[lb.VIP]int, vip lb.VIP) (lb.VIP, bool) {
	var others []lb.VIP
	for v := range set {
		if v != vip {
			others = append(others, v)
		}
	}
	if len(others) == 0 {
		return lb.VIP{}, false
	}
	return slices.MinFunc(others, lb.VIP.Compare), true
}

// without returns s less the replicas that others stand in the way of now.
func (c claims) without(s lb.Service) lb.Service {
	s = s.Clone()
	s.Replicas = slices.DeleteFunc(s.Replicas, func(r lb.Replica) bool {
		_, taken := c.taken(s, r)
		return taken
	})
	if s.Scheduler == lb.Modulo {
		s.TableSize = s.Active()
	}
	return s
}
