package lb

import (
	"fmt"
	"net/netip"

	"lbctl/rss/packet"
)

// ValidateAll says everything that is wrong with a set of services meant for one datapath,
// as Problems with fields from "services[0]" on: each service by itself, services that
// exclude each other, and what does not fit the limits. Nil when nothing is wrong.
//
// Limits hold the set at rest: replacing a table also needs room for the new one beside the
// old ones, which a datapath reports as ErrFull when it comes to that.
func ValidateAll(services []Service, l Limits) error {
	var ps Problems
	for i, s := range services {
		ps.addWithin("services", i, s.problems())
	}
	seen := newClaims(services)
	for i, s := range services {
		ps.addWithin("services", i, seen.check(i, s))
	}
	limitProblems(&ps, services, l)
	return ps.err()
}

// backend is what the reverse table of nat is keyed by.
type backend struct {
	address  netip.AddrPort
	protocol packet.Protocol
}

// claims are the things that one service only may have, by the index of the first that has them.
type claims struct {
	vips      map[VIP]int
	addresses map[netip.Addr]int
	backends  map[backend]int
	services  []Service
}

func newClaims(services []Service) *claims {
	replicas := 0
	for _, s := range services {
		replicas += len(s.Replicas)
	}
	c := &claims{make(map[VIP]int, len(services)), make(map[netip.Addr]int, len(services)), make(map[backend]int, replicas), services}
	for i, s := range services {
		if _, ok := c.addresses[s.VIP.Address.Addr()]; !ok {
			c.addresses[s.VIP.Address.Addr()] = i
		}
	}
	return c
}

// check finds what service i has that an earlier one claimed, and claims the rest.
func (c *claims) check(i int, s Service) (ps Problems) {
	if j, taken := c.vips[s.VIP]; taken {
		ps.add("vip", "want every VIP once, with all its replicas", "%v is services[%d] already", s.VIP, j)
		return ps // its replicas are reported once the VIP is right
	}
	c.vips[s.VIP] = i
	for k, r := range s.Replicas {
		var of Problems
		c.checkLoop(&of, s, r)
		c.checkBackend(&of, i, s, r)
		ps.addWithin("replicas", k, of)
	}
	return ps
}

// checkLoop finds a replica with the address of another service; the own one is found
// by the service itself.
func (c *claims) checkLoop(ps *Problems, s Service, r Replica) {
	a := r.Address.Addr()
	if j, taken := c.addresses[a]; taken && a.IsValid() && a != s.VIP.Address.Addr() {
		loopProblem(ps, "address", r.Address, c.services[j].VIP)
	}
}

// checkBackend finds a nat replica of another service: its answers could not be told apart.
func (c *claims) checkBackend(ps *Problems, i int, s Service, r Replica) {
	if s.Mode != NAT {
		return
	}
	b := backend{r.Address, s.VIP.Protocol}
	if j, taken := c.backends[b]; taken && j != i {
		ps.add("address", "want a port of its own for every service",
			"%v %v is a replica of services[%d] already, and its answers could not be told apart",
			s.VIP.Protocol, r.Address, j)
		return
	}
	c.backends[b] = i
}

func limitProblems(ps *Problems, services []Service, l Limits) {
	var replicas, slots uint64
	for _, s := range services {
		replicas += uint64(len(s.Replicas))
		slots += uint64(s.Slots())
	}
	limit := func(what string, n uint64, limit uint32) {
		if n > uint64(limit) {
			ps.add("services", fmt.Sprintf("want at most %d, or start with a larger limit of %s", limit, what),
				"%d %s", n, what)
		}
	}
	limit("services", uint64(len(services)), l.Services)
	limit("replicas", replicas, l.Replicas)
	limit("slots", slots, l.Slots)
}
