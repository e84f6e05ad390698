package datapath

import (
	"time"

	"lbctl/bpf"
	"lbctl/lb"
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
	// elsewhere tells whether one of them names another replica than the owner of its hash, as far
	// as that can be known; slots says in which slots, unless the service is rehashed.
	elsewhere bool
	slots     []bool
}

// sweep lets time pass: records and previous owners become older, expired records are removed, and
// slots in transition are settled that need not be in it any more.
func (d *Datapath) sweep(elapsed time.Duration) error {
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	due := d.due(elapsed)
	if len(due) == 0 {
		return nil
	}
	defer func() {
		for _, e := range due {
			e.aging = nil
		}
	}()
	if d.readersPending { // a packet that sees the table from before a change may record a flow by it
		if err := d.awaitReaders(); err != nil {
			return err
		}
	}
	for _, e := range due {
		d.agePrevious(e)
	}
	d.tables.records(d.ageRecord)
	for _, e := range due {
		if err := d.endTransitions(e); err != nil {
			return err
		}
	}
	return nil
}

// due returns the services whose flows become older by a step now, and that have records or slots in
// transition.
func (d *Datapath) due(elapsed time.Duration) (all []*entry) {
	for _, e := range d.services {
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
func (d *Datapath) agePrevious(e *entry) {
	if !e.rehashed() && e.inTransition == 0 {
		return
	}
	for at := e.previousSlots().from; at < e.previousSlots().to; at++ {
		if s := d.tables.readSlot(at); e.rehashed() || s.InTransition() {
			// If the swap fails, a packet has just reset the age.
			d.tables.swapSlot(at, s, s.WithAge(min(s.Age()+e.aging.steps, expired)))
		}
	}
}

// ageRecord makes a record older, or removes it.
func (d *Datapath) ageRecord(p recordAt, r bpf.Record) {
	for ; r != 0; r = p.read() { // a packet may be faster
		e := d.serviceOfReplica(r.Replica())
		switch {
		case e != nil && e.aging == nil:
			return
		case e == nil || r.Age()+e.aging.steps >= expired:
			if p.swap(r, 0) {
				return
			}
		case p.swap(r, r.WithAge(r.Age()+e.aging.steps)):
			d.see(e, r)
			return
		}
	}
}

// see takes note of a record that stays.
func (d *Datapath) see(e *entry, r bpf.Record) {
	a := e.aging
	a.records++
	if e.recordsByOtherHash() {
		a.elsewhere = true
		return
	}
	slot := uint32(0)
	if e.row.Size > 0 {
		slot = r.Hash() % e.row.Size
		if d.tables.readSlot(e.row.Offset+slot).Owner() == r.Replica() {
			return
		}
	}
	a.elsewhere = true
	if len(a.slots) > 0 {
		a.slots[slot] = true
	}
}
