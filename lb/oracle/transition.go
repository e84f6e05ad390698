package oracle

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// inherit takes over what is remembered of flows from the service that s replaces, and begins the transition
// of the slots whose flows may be elsewhere than with their new owner.
func (s *service) inherit(old *service) {
	maps.Copy(s.pathMTUs, old.pathMTUs)
	maps.DeleteFunc(s.pathMTUs, func(replica netip.AddrPort, _ pathMTU) bool { return !s.lists(replica) })
	if s.Idle == old.Idle {
		s.elapsed = old.elapsed
	}
	if s.RateLimit == old.RateLimit {
		s.packets, s.begun = old.packets, old.begun
	}
	s.learn(old)
	if s.Tracking == lb.Stateless {
		return
	}
	s.records = maps.Clone(old.records)
	maps.DeleteFunc(s.records, func(_ packet.Flow, r Record) bool { return !s.lists(r.Replica) })
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

// sameTable reports whether the slots of two services are the same parts of the hash space.
func sameTable(a, b lb.Service) bool {
	f, g := functionOf(a), functionOf(b)
	return f.Size == g.Size && f.sameHash(g)
}

// sharesReplica reports whether a replica of s is one of other.
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

const expired Age = lb.IdleSteps + 1

// older returns the age one step later.
func (a Age) older() Age { return min(a+1, expired) }

// Advance lets time pass: records of flows that were silent for the idle time of their service are
// removed, and slots in transition are settled where no flow needs the previous owner any more. Advance(d)
// twice is Advance(2*d).
func (m *Datapath) Advance(d time.Duration) {
	m.tables.mu.Lock()
	defer m.tables.mu.Unlock()
	for _, s := range m.tables.services {
		s.advance(d, m.tables)
	}
}

// ForgetFragments forgets all fragments that were seen, as a table that is full forgets some.
func (m *Datapath) ForgetFragments() {
	m.tables.mu.Lock()
	defer m.tables.mu.Unlock()
	clear(m.tables.fragments)
}

func (s *service) advance(d time.Duration, t *tables) {
	s.packets.earn(s.RateLimit.Packets, d)
	s.begun.earn(s.RateLimit.NewFlows, d)
	if s.Tracking == lb.Stateless {
		return
	}
	s.awaitRecords(d)
	s.elapsed += d
	step := s.Idle / lb.IdleSteps
	steps := s.elapsed / step
	s.elapsed -= steps * step
	for range min(steps, time.Duration(expired)) { // after so many everything has expired
		s.ageRecords()
		s.agePrevious()
		s.settle(t)
	}
}

func (s *service) ageRecords() {
	for f, r := range s.records {
		r.Age = r.Age.older()
		s.records[f] = r
		if r.Age == expired {
			delete(s.records, f)
		}
	}
}

func (s *service) agePrevious() {
	for i := range s.slots {
		if s.slots[i].inTransition {
			s.slots[i].previous.age = s.slots[i].previous.age.older()
		}
	}
	if s.previous == nil {
		return
	}
	for i := range s.previous.slots {
		s.previous.slots[i].age = s.previous.slots[i].age.older()
	}
}

// settle ends the transition of slots, or of the whole service, where every flow that may still come goes
// to the owner.
func (s *service) settle(t *tables) {
	table := functionOf(s.Service)
	if s.previous != nil {
		if s.isSettled(t, table) {
			s.previous = nil
		}
		return
	}
	elsewhere := s.slotsElsewhere(t, table)
	for i := range s.slots {
		now := &s.slots[i]
		if now.inTransition && !elsewhere[uint32(i)] && (now.previous.isExpired() || now.previous.owner == now.owner) {
			now.inTransition, now.previous = false, previousOwner{}
		}
	}
}

// isExpired reports whether no flow goes to the previous owner any more.
func (o previousOwner) isExpired() bool { return !o.owner.IsValid() || o.age == expired }

// slotsElsewhere returns the slots of which a flow is recorded with another replica than the owner.
func (s *service) slotsElsewhere(t *tables, table Function) map[uint32]bool {
	elsewhere := map[uint32]bool{}
	for f, r := range s.records {
		if i, with := s.slotOf(t, table, f); !with || s.slots[i].owner != r.Replica {
			elsewhere[i] = true
		}
	}
	return elsewhere
}

// slotOf returns the slot of a flow, false if there is no table.
func (s *service) slotOf(t *tables, table Function, f packet.Flow) (uint32, bool) {
	if table.Size == 0 {
		return 0, false
	}
	return table.of(t.key, f) % table.Size, true
}

// isSettled reports whether a rehashed service does not need its previous table any more. Where the hash has
// changed, no record may be left: the kernel's records hold only the hash of the previous table, which does
// not say who owns the flow now.
func (s *service) isSettled(t *tables, table Function) bool {
	for _, o := range s.previous.slots {
		if !o.isExpired() {
			return false
		}
	}
	if !s.previous.sameHash(table) {
		return len(s.records) == 0
	}
	return len(s.slotsElsewhere(t, table)) == 0
}
