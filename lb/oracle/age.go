package oracle

import (
	"time"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// age counts steps of time in which something was not used. What is over has not been
// for an idle time at least: the first step may have come right after the last use.
type age uint8

const over age = lb.IdleSteps + 1

// older returns the age one step later.
func (a age) older() age { return min(a+1, over) }

// Advance lets time pass: flows that are silent for the idle time of their service are
// forgotten, and marks that no flow needs any more are taken off. Advance(d) twice is Advance(2*d).
func (m *Memory) Advance(d time.Duration) {
	m.tables.mu.Lock()
	defer m.tables.mu.Unlock()
	for _, s := range m.tables.services {
		s.advance(d, m.tables)
	}
}

func (s *service) advance(d time.Duration, t *tables) {
	if s.Tracking == lb.Stateless {
		return
	}
	s.elapsed += d
	step := s.Idle / lb.IdleSteps
	steps := s.elapsed / step
	s.elapsed -= steps * step
	for range min(steps, time.Duration(over)) { // then nothing is left to forget
		s.ageRecords()
		s.ageBases()
		s.retire(t)
	}
}

func (s *service) ageRecords() {
	for f, r := range s.records {
		r.age = r.age.older()
		s.records[f] = r
		if r.age == over {
			delete(s.records, f)
		}
	}
}

func (s *service) ageBases() {
	for i := range s.slots {
		if s.slots[i].marked {
			s.slots[i].base.age = s.slots[i].base.age.older()
		}
	}
	if s.moved == nil {
		return
	}
	for i := range s.moved.slots {
		s.moved.slots[i].age = s.moved.slots[i].age.older()
	}
}

// retire takes the marks off where no flow that is known would go elsewhere than to the current
// owner.
func (s *service) retire(t *tables) {
	table := functionOf(s.Service)
	if s.moved != nil {
		if s.isSettled(t, table) {
			s.moved = nil
		}
		return
	}
	apart := s.slotsApart(t, table)
	for i := range s.slots {
		now := &s.slots[i]
		if now.marked && !apart[uint32(i)] && (now.base.isOver() || now.base.owner == now.current) {
			now.marked, now.base = false, older{}
		}
	}
}

// isOver tells whether nobody goes by the base any more.
func (o older) isOver() bool { return !o.owner.IsValid() || o.age == over }

// slotsApart returns the slots of which a flow is recorded elsewhere than with the current owner.
func (s *service) slotsApart(t *tables, table Function) map[uint32]bool {
	apart := map[uint32]bool{}
	for f, r := range s.records {
		if i, with := s.slotOf(t, table, f); !with || s.slots[i].current != r.Replica {
			apart[i] = true
		}
	}
	return apart
}

// slotOf returns the slot of a flow, false if there is no table.
func (s *service) slotOf(t *tables, table Function, f packet.Flow) (uint32, bool) {
	if table.Size == 0 {
		return 0, false
	}
	return table.of(t.key, f) % table.Size, true
}

// isSettled tells whether all of a service that has moved goes by the new table. A record tells
// nothing of the owner under another hash than that which it was made by, so that then none may be left.
func (s *service) isSettled(t *tables, table Function) bool {
	for _, o := range s.moved.slots {
		if !o.isOver() {
			return false
		}
	}
	if !s.moved.sameHash(table) {
		return len(s.records) == 0
	}
	return len(s.slotsApart(t, table)) == 0
}
