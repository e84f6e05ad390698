package datapath

import (
	"time"

	"lbctl/bpf"
	"lbctl/lb"
)

// over is the age of what has not been seen for an idle time at least, in steps: the first of them
// may have come right after it was seen.
const over = lb.IdleSteps + 1

// aging is what a sweep finds out about a service whose flows grow older.
type aging struct {
	// steps is by how much.
	steps uint32
	// records is the number of records that are left.
	records int
	// apart tells whether one of them names another replica than the owner of its hash, as far
	// as that can be known; of a service that has not moved, in which slots.
	apart bool
	slots []bool
}

// sweep lets time pass: records and bases of which nothing was seen grow older, the oldest records
// are forgotten, and marks that are of no use any more are taken away.
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
	if d.fresh { // a packet that sees the table from before a change may record a flow by it
		if err := d.await(); err != nil {
			return err
		}
	}
	for _, e := range due {
		d.ageBases(e)
	}
	d.tables.records(d.ageRecord)
	for _, e := range due {
		if err := d.retireMarks(e); err != nil {
			return err
		}
	}
	return nil
}

// due returns the services whose flows take a step of age, and of which anything is remembered.
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
			e.aging = &aging{steps: uint32(min(steps, over))}
			if e.marks > 0 {
				e.aging.slots = make([]bool, e.row.Size)
			}
			all = append(all, e)
		}
	}
	return all
}

// ageBases makes the bases of a service older, up to over.
func (d *Datapath) ageBases(e *entry) {
	if !e.moved() && e.marks == 0 {
		return
	}
	for at := e.bases().from; at < e.bases().to; at++ {
		if s := d.tables.readSlot(at); e.moved() || s.InTransition() {
			// If a packet was faster it made the base young.
			d.tables.swapSlot(at, s, s.WithAge(min(s.Age()+e.aging.steps, over)))
		}
	}
}

// ageRecord makes a record older, or removes it.
func (d *Datapath) ageRecord(p recordAt, r bpf.Record) {
	for ; r != 0; r = p.read() { // a packet may be faster
		e := d.ownerOf(r.Replica())
		switch {
		case e != nil && e.aging == nil:
			return
		case e == nil || r.Age()+e.aging.steps >= over:
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
	if e.apart() {
		a.apart = true
		return
	}
	slot := uint32(0)
	if e.row.Size > 0 {
		slot = r.Hash() % e.row.Size
		if d.tables.readSlot(e.row.Offset+slot).Owner() == r.Replica() {
			return
		}
	}
	a.apart = true
	if len(a.slots) > 0 {
		a.slots[slot] = true
	}
}
