package datapath

import (
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/tables"
)

// expired is the age, in steps, from which on something has not been seen for a whole idle time: the first
// step may have come right after it was seen.
const expired = lb.IdleSteps + 1

// aging is what a sweep finds out about a service whose flows grow older.
type aging struct {
	// steps is by how much.
	steps uint32
	// records is the number of records that are left.
	records int
	// elsewhere reports whether one of them names another replica than the owner of its hash, as far
	// as that can be known; slots says in which slots, unless the service is rehashed.
	elsewhere bool
	slots     []bool
}

// transitions are the slots in transition and the records, as time passes over them.
type transitions struct{ registry *registry }

// sweep lets time pass: records and previous owners become older, expired records are removed, and
// slots in transition are settled that need not be in it any more.
func (tr *transitions) sweep(elapsed time.Duration) error {
	tr.registry.awaitRecords(elapsed)
	due := tr.due(elapsed)
	if len(due) == 0 {
		return nil
	}
	defer func() {
		for _, e := range due {
			e.aging = nil
		}
	}()
	if tr.registry.grace.Readers() { // a packet that sees the table from before a change may record a flow by it
		if err := tr.registry.grace.Wait(); err != nil {
			return err
		}
	}
	for _, e := range due {
		tr.agePrevious(e)
		tr.registry.tables.Trim()
	}
	tr.registry.tables.Records(tr.ageRecord)
	for _, e := range due {
		if err := tr.endTransitions(e); err != nil {
			return err
		}
		tr.registry.tables.Trim()
	}
	return nil
}

// due returns the services whose flows become older by a step now, and that have records or slots in
// transition.
func (tr *transitions) due(elapsed time.Duration) (all []*entry) {
	for _, e := range tr.registry.services {
		if !e.tracked() {
			continue
		}
		step := e.service.Idle / lb.IdleSteps
		e.lag += elapsed
		steps := e.lag / step
		e.lag -= steps * step
		if steps > 0 && e.recorded {
			e.aging = &aging{steps: uint32(min(steps, expired))}
			if e.inTransition > 0 {
				e.aging.slots = make([]bool, e.row.Size)
			}
			all = append(all, e)
		}
	}
	return all
}

// agePrevious makes the previous owners of a service older, up to expired.
func (tr *transitions) agePrevious(e *entry) {
	if !e.rehashed() && e.inTransition == 0 {
		return
	}
	for at := e.previousSlots().From; at < e.previousSlots().To; at++ {
		if s := tr.registry.tables.Slot(at); e.rehashed() || s.InTransition() {
			// If the swap fails, a packet has just reset the age.
			tr.registry.tables.SwapSlot(at, s, s.WithAge(min(s.Age()+e.aging.steps, expired)), e.previousCountFrom())
		}
	}
}

// ageRecord makes a record older, or removes it.
func (tr *transitions) ageRecord(p tables.Record, r bpf.Record) {
	for ; r != 0; r = p.Read() { // a packet may be faster
		e := tr.registry.serviceOfReplica(r.Replica())
		switch {
		case e != nil && e.aging == nil:
			return
		case e == nil || r.Age()+e.aging.steps >= expired:
			if p.Swap(r, 0) {
				return
			}
		case p.Swap(r, r.WithAge(r.Age()+e.aging.steps)):
			tr.see(e, r)
			return
		}
	}
}

// see takes note of a record that stays.
func (tr *transitions) see(e *entry, r bpf.Record) {
	a := e.aging
	a.records++
	if e.recordsByOtherHash() {
		a.elsewhere = true
		return
	}
	slot := uint32(0)
	if e.row.Size > 0 {
		slot = r.Hash() % e.row.Size
		if tr.registry.tables.Slot(e.row.Offset+slot).Owner() == r.Replica() {
			return
		}
	}
	a.elsewhere = true
	if len(a.slots) > 0 {
		a.slots[slot] = true
	}
}

// endTransitions settles slots, or a rehashed service, whose flows all go to the owner, as a sweep has found.
func (tr *transitions) endTransitions(e *entry) error {
	a := e.aging
	switch {
	case e.rehashed() || e.recordsByOtherHash():
		if a.elsewhere || !tr.previousTableUnused(e) {
			return nil
		}
		if err := tr.registry.finishTransition(e); err != nil {
			return err
		}
		e = tr.registry.services[e.service.VIP]
	case e.inTransition > 0:
		tr.settleSlots(e)
	}
	e.recorded = e.inTransition > 0 || a.records > 0 || e.service.Tracking == lb.TrackAlways
	return nil
}

// settleSlots settles the slots of which no record names another replica than the owner, and whose previous
// owner is the owner again or was not used for the idle time.
func (tr *transitions) settleSlots(e *entry) {
	e.inTransition = 0
	for slot, held := range e.aging.slots {
		at := e.row.Offset + uint32(slot)
		s := tr.registry.tables.Slot(at)
		switch {
		case !s.InTransition():
		case held || !previousUnused(s) && s.Previous() != s.Owner():
			e.inTransition++
		case !tr.registry.tables.SwapSlot(at, s, bpf.SettledSlot(s.Owner()), e.row.FirstReplica): // a packet used the previous owner
			e.inTransition++
		default:
			e.owners ^= digestOf(uint32(slot), s) ^ digestOf(uint32(slot), bpf.SettledSlot(s.Owner()))
		}
	}
}

// previousUnused reports whether no flow goes to the slot's previous owner any more.
func previousUnused(s bpf.Slot) bool {
	return s.Previous() == bpf.ReplicaNone || s.Age() >= expired
}

// previousTableUnused reports whether no flow goes by the previous table of a service any more.
func (tr *transitions) previousTableUnused(e *entry) bool {
	if !e.rehashed() {
		return true
	}
	for at := e.previousSlots().From; at < e.previousSlots().To; at++ {
		if !previousUnused(tr.registry.tables.Slot(at)) {
			return false
		}
	}
	return true
}
