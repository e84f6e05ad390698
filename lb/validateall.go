package lb

import (
	"cmp"
	"fmt"
	"net/netip"
)

// ValidateAll says everything that is wrong with a set of services meant for one datapath,
// as Problems with fields from "services[0]" on: each service by itself, services that
// exclude each other, and what does not fit the limits. Nil when nothing is wrong.
//
// Limits hold the set at rest: replacing a table also needs room for the new one beside the
// old ones, which a datapath reports as ErrFull when it comes to that.
func ValidateAll(services []Service, l Limits) error {
	var ps Problems
	all := make([]*Service, 0, len(services))
	for i := range services {
		ps.addWithin("services", i, services[i].problems())
		all = append(all, &services[i])
	}
	exclusionProblems(&ps, all)
	limitProblems(&ps, all, l)
	return ps.err()
}

// exclusionProblems finds services that exclude each other. A replica that two have is reported of the later one.
func exclusionProblems(ps *Problems, services []*Service) {
	if apart(services) {
		return
	}
	first := make(map[VIP]int, len(services))
	distinct := make([]*Service, 0, len(services))
	for i, s := range services {
		if _, twice := first[s.VIP]; !twice {
			first[s.VIP] = i
			distinct = append(distinct, s)
		}
	}
	index := newIndex(distinct)
	for _, s := range distinct {
		index.claim(*s) // enough: a replica at the address of a VIP is found as the replica's problem
	}
	inSources := vipsInSources(services)
	for i, s := range services {
		var of Problems
		if v, found := inSources[s.TunnelSources]; found && !s.TunnelSources.Contains(s.VIP.Address.Addr()) {
			vipInSources(&of, "tunnel_sources", s.TunnelSources, v)
		}
		if j := first[s.VIP]; j < i { // its replicas are reported once the VIP is right
			of.add("vip", "want every VIP once, with all its replicas", "%v is services[%d] already", s.VIP, j)
		} else {
			if v, why := index.overlapping(*s, func(v VIP) bool { return first[v] < i }); v != (VIP{}) {
				of.add("end_port", "want ranges of ports that do not overlap; a single port inside another's range is allowed", "%s, services[%d]", why, first[v])
			} else if why != "" {
				of.add("end_port", fmt.Sprintf("want at most %d services with an end_port at one address", MaxPortRanges), "%s", why)
			}
			for k, r := range s.Replicas {
				of.addWithin("replicas", k, index.problems(*s, r, first))
			}
		}
		ps.addWithin("services", i, of)
	}
}

// apart reports whether services have so little in common that none can exclude another: a VIP each, of one port, and replicas that
// neither another service has nor are at a VIP's address. It costs a third of the search for what excludes what.
func apart(services []*Service) bool {
	vips, addresses := make(map[VIP]struct{}, len(services)), make(map[netip.Addr]struct{}, len(services))
	n := 0
	for _, s := range services {
		if s.EndPort != 0 || s.TunnelSources.IsValid() {
			return false
		}
		vips[s.VIP], addresses[s.VIP.Address.Addr()] = struct{}{}, struct{}{}
		n += len(s.Replicas)
	}
	if len(vips) < len(services) {
		return false
	}
	replicas := make(map[netip.AddrPort]struct{}, n)
	for _, s := range services {
		for k := range s.Replicas {
			a := s.Replicas[k].Address
			if _, looping := addresses[a.Addr()]; looping {
				return false
			}
			replicas[a] = struct{}{}
		}
	}
	return len(replicas) == n
}

// problems says why s cannot have a replica. A replica at the VIP's own address is reported by Service.Validate.
func (x *Index) problems(s Service, r Replica, place map[VIP]int) (ps Problems) {
	if v, found := x.looping(s, r); found && r.Address.IsValid() && r.Address.Addr() != s.VIP.Address.Addr() {
		loopProblem(&ps, "address", r.Address, v)
	}
	earlier := func(v VIP) bool { return place[v] < place[s.VIP] }
	if v, why := x.sharing(s, r, earlier); why != "" {
		ps.add("address", "want a port of its own for every service", "%v %v is a replica of services[%d] already, %s",
			s.VIP.Protocol, r.Address, place[v], why)
	}
	return ps
}

func limitProblems(ps *Problems, services []*Service, l Limits) {
	var replicas, slots, ranges uint64
	for _, s := range services {
		replicas += uint64(len(s.Replicas))
		slots += uint64(s.Slots())
		ranges += uint64(len(s.SourceRanges))
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
	limit("source_ranges", ranges, cmp.Or(l.SourceRanges, DefaultLimits.SourceRanges))
}

// ValidateChange is ValidateAll of services that come after old ones, which are valid within the same limits. It validates those
// that are not the same, and looks through the others for what these need and did not need before. Services that both lists share
// at the same place cost next to nothing.
func ValidateChange(old, services []*Service, l Limits) error {
	same, changed := pairs(old, services)
	if agree(changed) && !changed.needs().concern(same) && len(vipsInSources(services)) == 0 {
		var ps Problems
		if limitProblems(&ps, services, l); len(ps) == 0 {
			return nil
		}
	}
	all := make([]Service, 0, len(services))
	for _, s := range services {
		all = append(all, *s)
	}
	return ValidateAll(all, l)
}

// change is a service, and what it was before, nil for a new one.
type change struct{ was, is *Service }

type changes []change

// pairs returns the services that are the same as before, and the others.
func pairs(old, services []*Service) (same []*Service, changed changes) {
	had := map[VIP]*Service{}
	first := 0 // from which place on old is in had
	for first < len(old) && first < len(services) && (old[first] == services[first] || old[first].VIP == services[first].VIP) {
		first++
	}
	for _, s := range old[first:] {
		had[s.VIP] = s
	}
	same = make([]*Service, 0, len(services))
	for i, s := range services {
		was := (*Service)(nil)
		if i < first {
			was = old[i]
		} else {
			was = had[s.VIP]
			delete(had, s.VIP) // a second one of this VIP is a change
		}
		if was == s || was != nil && was.SameAs(*s) {
			same = append(same, s)
		} else {
			changed = append(changed, change{was, s})
		}
	}
	return same, changed
}

// agree reports whether the changed services are valid, and valid beside each other.
func agree(changed changes) bool {
	vips := make(map[VIP]bool, len(changed))
	index := NewIndex()
	for _, c := range changed {
		if _, conflict := index.Conflict(*c.is); vips[c.is.VIP] || conflict != nil || c.is.Validate() != nil {
			return false
		}
		vips[c.is.VIP] = true
		index.Add(*c.is)
	}
	return true
}

// needs are what changed services have that others might exclude, less what they had before, which others do not.
type needs struct {
	added                  map[VIP]bool
	vips, replicas, ranged map[netip.Addr]bool
	backends               map[backend]bool
	// ends are the last bytes of those addresses: by them nearly all others are told apart.
	ends [256]bool
}

func (all changes) needs() *needs {
	n := &needs{added: map[VIP]bool{}, vips: map[netip.Addr]bool{}, replicas: map[netip.Addr]bool{}, ranged: map[netip.Addr]bool{}, backends: map[backend]bool{}}
	for _, c := range all {
		n.add(c)
	}
	return n
}

func (n *needs) add(c change) {
	s, had := c.is, map[netip.AddrPort]bool{}
	switch {
	case c.was == nil:
		n.added[s.VIP], n.vips[s.VIP.Address.Addr()], n.ends[end(s.VIP.Address.Addr())] = true, true, true
	case c.was.Mode == s.Mode && c.was.Tracking == s.Tracking:
		for _, r := range c.was.Replicas {
			had[r.Address] = true
		}
	}
	if s.EndPort != 0 && (c.was == nil || c.was.EndPort != s.EndPort) {
		n.ranged[s.VIP.Address.Addr()] = true
	}
	for _, r := range s.Replicas {
		if had[r.Address] {
			continue
		}
		n.replicas[r.Address.Addr()], n.ends[end(r.Address.Addr())] = true, true
		if s.Mode == NAT {
			n.backends[backend{r.Address, s.VIP.Protocol}] = true
		}
	}
}

// concern reports whether one of some services has what is needed. Whether it may have it, too, is not said.
func (n *needs) concern(services []*Service) bool {
	if len(n.vips)+len(n.replicas)+len(n.ranged) == 0 {
		return false
	}
	for _, s := range services {
		a := s.VIP.Address.Addr()
		if n.ends[end(a)] && (n.added[s.VIP] || n.replicas[a]) || s.EndPort != 0 && n.ranged[a] {
			return true
		}
		for k := range s.Replicas {
			r := &s.Replicas[k]
			if n.ends[end(r.Address.Addr())] && (n.vips[r.Address.Addr()] || s.Mode == NAT && n.backends[backend{r.Address, s.VIP.Protocol}]) {
				return true
			}
		}
	}
	return false
}

// end returns the last byte of an address.
func end(a netip.Addr) byte {
	bytes := a.As16()
	return bytes[len(bytes)-1]
}
