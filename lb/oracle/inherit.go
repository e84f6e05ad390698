package oracle

import (
	"maps"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// inherit takes over what is remembered of flows from the service that s replaces, and begins the transition
// of the slots whose flows may be elsewhere than with their new owner.
func (s *service) inherit(old *service) {
	if s.Idle == old.Idle {
		s.elapsed = old.elapsed
	}
	if s.Tracking == lb.Stateless {
		return
	}
	s.records = maps.Clone(old.records)
	maps.DeleteFunc(s.records, func(_ packet.Flow, r record) bool { return !s.lists(r.Replica) })
	if s.VIP.Protocol == packet.UDP {
		return // its packets do not tell whether their flow is from before the change
	}
	switch {
	case old.previous == nil && sameTable(s.Service, old.Service):
		s.beginTransitions(old)
	case old.sharesReplica(s):
		s.keepPreviousTable(old)
	}
}

// sameTable tells whether the slots of two services are the same parts of the hash space.
func sameTable(a, b lb.Service) bool {
	f, g := functionOf(a), functionOf(b)
	return f.Size == g.Size && f.sameHash(g)
}

// sharesReplica tells whether a replica of s is one of other.
func (s *service) sharesReplica(other *service) bool {
	return slices.ContainsFunc(s.Replicas, func(r lb.Replica) bool { return other.lists(r.Address) })
}

// beginTransitions puts the slots into transition that have another owner now, and those that already were.
func (s *service) beginTransitions(old *service) {
	for i, was := range old.slots {
		now := &s.slots[i]
		switch {
		case was.inTransition:
			now.inTransition, now.previous.owner = true, s.listed(was.previous.owner)
		case was.owner != now.owner && s.lists(was.owner):
			now.inTransition, now.previous.owner = true, was.owner
		}
	}
}

// keepPreviousTable keeps the table by which flows from before the first change go.
func (s *service) keepPreviousTable(old *service) {
	if old.previous != nil {
		s.previous = &previousTable{Function: old.previous.Function}
		for _, was := range old.previous.slots {
			s.previous.slots = append(s.previous.slots, previousOwner{owner: s.listed(was.owner)})
		}
		return
	}
	s.previous = &previousTable{Function: functionOf(old.Service)}
	for _, was := range old.slots {
		owner := was.owner
		if was.inTransition {
			owner = was.previous.owner
		}
		s.previous.slots = append(s.previous.slots, previousOwner{owner: s.listed(owner)})
	}
}
