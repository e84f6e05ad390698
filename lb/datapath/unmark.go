package datapath

import (
	"lbctl/bpf"
	"lbctl/lb"
)

// retireMarks makes quiet what no flow needs to be marked any more, as far as a sweep has found.
func (d *Datapath) retireMarks(e *entry) error {
	a := e.aging
	switch {
	case e.moved() || e.apart():
		if a.apart || !d.unused(e) {
			return nil
		}
		if err := d.settleDown(e); err != nil {
			return err
		}
		e = d.services[e.service.VIP]
	case e.marks > 0:
		d.unmark(e)
	}
	e.recorded = e.marks > 0 || a.records > 0 || e.service.Tracking == lb.TrackAlways
	return nil
}

// unmark makes the slots quiet whose base nobody has used for the idle time, or that is the owner
// again, and of which no record names another replica.
func (d *Datapath) unmark(e *entry) {
	e.marks = 0
	for slot, held := range e.aging.slots {
		at := e.row.Offset + uint32(slot)
		s := d.tables.readSlot(at)
		switch {
		case !s.InTransition():
		case held || !isUnused(s) && s.Previous() != s.Owner():
			e.marks++
		case !d.tables.swapSlot(at, s, bpf.SettledSlot(s.Owner())): // a packet used the base
			e.marks++
		}
	}
}

// isUnused tells whether no flow is left that goes by the slot's base.
func isUnused(s bpf.Slot) bool {
	return s.Previous() == bpf.ReplicaNone || s.Age() >= over
}

// unused tells whether no flow is left that goes by the table from before a service moved.
func (d *Datapath) unused(e *entry) bool {
	if !e.moved() {
		return true
	}
	for at := e.bases().from; at < e.bases().to; at++ {
		if !isUnused(d.tables.readSlot(at)) {
			return false
		}
	}
	return true
}

// settleDown gives a service that has moved a row that knows of no other table.
func (d *Datapath) settleDown(e *entry) error {
	at, err := d.take(&d.ids.rows, 1, "the row", e.service.VIP, rowsFor(d.options.Limits))
	if err != nil {
		return err
	}
	next := *e
	next.aging = nil
	next.at, next.row = at, withOwnBase(e.row)
	d.tables.services.rows[at] = next.row
	d.tables.serviceAt().replace(e.row.Vip, e.at, at)
	d.services[e.service.VIP] = &next
	d.claim(&next)
	d.retire(e, &next)
	return nil
}
