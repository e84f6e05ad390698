package lb

import (
	"cmp"
	"fmt"
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
	exclusionProblems(&ps, services)
	limitProblems(&ps, services, l)
	return ps.err()
}

// exclusionProblems finds services that exclude each other. A replica that two have is reported of the later one.
func exclusionProblems(ps *Problems, services []Service) {
	first := make(map[VIP]int, len(services))
	distinct := make([]Service, 0, len(services))
	for i, s := range services {
		if _, twice := first[s.VIP]; !twice {
			first[s.VIP] = i
			distinct = append(distinct, s)
		}
	}
	index := newIndex(distinct)
	for _, s := range distinct {
		index.claim(s) // enough: a replica at the address of a VIP is found as the replica's problem
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
			if v, why := index.overlapping(s, func(v VIP) bool { return first[v] < i }); v != (VIP{}) {
				of.add("end_port", "want ranges of ports that do not overlap; a single port inside another's range is allowed", "%s, services[%d]", why, first[v])
			} else if why != "" {
				of.add("end_port", fmt.Sprintf("want at most %d services with an end_port at one address", MaxPortRanges), "%s", why)
			}
			for k, r := range s.Replicas {
				of.addWithin("replicas", k, index.problems(s, r, first))
			}
		}
		ps.addWithin("services", i, of)
	}
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

func limitProblems(ps *Problems, services []Service, l Limits) {
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

// ValidateChange is ValidateAll of services that come after old ones, which are valid within
// the same limits. It validates those that are not the same, and checks whether the others exclude them.
func ValidateChange(old, services []Service, l Limits) error {
	had := map[VIP]*Service{}
	first := 0 // from which place on old is in had
	for first < len(old) && first < len(services) && old[first].VIP == services[first].VIP {
		first++
	}
	for i := first; i < len(old); i++ {
		had[old[i].VIP] = &old[i]
	}
	same, changed := make([]*Service, 0, len(services)), []*Service(nil)
	for i := range services {
		s, was := &services[i], (*Service)(nil)
		if i < first {
			was = &old[i]
		} else {
			was = had[s.VIP]
			delete(had, s.VIP) // a second one of this VIP is a change
		}
		if was != nil && was.SameAs(*s) {
			same = append(same, s)
		} else {
			changed = append(changed, s)
		}
	}
	if agree(same, changed) && len(vipsInSources(services)) == 0 {
		var ps Problems
		if limitProblems(&ps, services, l); len(ps) == 0 {
			return nil
		}
	}
	return ValidateAll(services, l)
}

// agree reports whether the changed services are valid, beside each other and beside those that stay the same.
func agree(same, changed []*Service) bool {
	vips := make(map[VIP]bool, len(changed))
	index := NewIndex()
	for _, s := range changed {
		if _, conflict := index.Conflict(*s); vips[s.VIP] || conflict != nil || s.Validate() != nil {
			return false
		}
		vips[s.VIP] = true
		index.Add(*s)
	}
	for _, s := range same {
		if _, conflict := index.Conflict(*s); vips[s.VIP] || conflict != nil {
			return false
		}
	}
	return true
}
