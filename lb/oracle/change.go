package oracle

import (
	"maps"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// succeed takes over from the service that s replaces what is remembered of flows, and marks
// the slots in which flows may be elsewhere than the new table says.
func (s *service) succeed(old *service) {
	if s.Idle == old.Idle {
		s.elapsed = old.elapsed
	}
	if s.Tracking == lb.Stateless {
		return
	}
	s.records = maps.Clone(old.records)
	maps.DeleteFunc(s.records, func(_ packet.Flow, r record) bool { return !s.lists(r.Replica) })
	if s.VIP.Protocol == packet.UDP {
		return // no packet of it says that it is from before
	}
	switch {
	case old.moved == nil && sameTable(s.Service, old.Service):
		s.markChanges(old)
	case old.sharesReplica(s):
		s.move(old)
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

// markChanges marks the slots that have another owner now, and those that were marked.
func (s *service) markChanges(old *service) {
	for i, was := range old.slots {
		now := &s.slots[i]
		switch {
		case was.marked:
			now.marked, now.base.owner = true, s.listed(was.base.owner)
		case was.current != now.current && s.lists(was.current):
			now.marked, now.base.owner = true, was.current
		}
	}
}

// move keeps the table that flows from before the first change go by.
func (s *service) move(old *service) {
	if old.moved != nil {
		s.moved = &olderTable{Function: old.moved.Function}
		for _, was := range old.moved.slots {
			s.moved.slots = append(s.moved.slots, older{owner: s.listed(was.owner)})
		}
		return
	}
	s.moved = &olderTable{Function: functionOf(old.Service)}
	for _, was := range old.slots {
		owner := was.current
		if was.marked {
			owner = was.base.owner
		}
		s.moved.slots = append(s.moved.slots, older{owner: s.listed(owner)})
	}
}
