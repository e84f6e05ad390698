package datapath

import (
	"lbctl/bpf"
	"lbctl/lb"
)

// endTransitions settles slots, or a rehashed service, whose flows all go to the owner, as a sweep has found.
func (d *Datapath) endTransitions(e *entry) error {
	a := e.aging
	switch {
	case e.rehashed() || e.recordsByOtherHash():
		if a.elsewhere || !d.previousTableUnused(e) {
			return nil
		}
		if err := d.finishTransition(e); err != nil {
			return err
		}
		e = d.services[e.service.VIP]
	case e.inTransition > 0:
		d.settleSlots(e)
	}
	e.recorded = e.inTransition > 0 || a.records > 0 || e.service.Tracking == lb.TrackAlways
	return nil
}

// settleSlots settles the slots of which no record names another replica than the owner, and whose previous
// owner is the owner again or was not used for the idle time.
func (d *Datapath) settleSlots(e *entry) {
	e.inTransition = 0
	for slot, held := range e.aging.slots {
		at := e.row.Offset + uint32(slot)
		s := d.tables.readSlot(at)
		switch {
		case !s.InTransition():
		case held || !previousUnused(s) && s.Previous() != s.Owner():
			e.inTransition++
		case !d.tables.swapSlot(at, s, bpf.SettledSlot(s.Owner())): // a packet used the previous owner
			e.inTransition++
		}
	}
}

// previousUnused tells whether no flow goes to the slot's previous owner any more.
func previousUnused(s bpf.Slot) bool {
	return s.Previous() == bpf.ReplicaNone || s.Age() >= expired
}

// previousTableUnused tells whether no flow goes by the previous table of a service any more.
func (d *Datapath) previousTableUnused(e *entry) bool {
	if !e.rehashed() {
		return true
	}
	for at := e.previousSlots().from; at < e.previousSlots().to; at++ {
		if !previousUnused(d.tables.readSlot(at)) {
			return false
		}
	}
	return true
}

// finishTransition gives a rehashed service a row without a previous table.
func (d *Datapath) finishTransition(e *entry) error {
	at, err := d.take(&d.ids.rows, 1, "the row", e.service.VIP, rowsFor(d.options.Limits))
	if err != nil {
		return err
	}
	next := *e
	next.aging = nil
	next.at, next.row = at, withoutPreviousTable(e.row)
	d.tables.services.rows[at] = next.row
	d.tables.serviceAt().replace(e.row.Vip, e.at, at)
	d.services[e.service.VIP] = &next
	d.claim(&next)
	d.retire(e, &next)
	return nil
}
