package oracle

import (
	"net/netip"

	"lbctl/lb"
)

// pick chooses the replica of a flow to a VIP. The package comment has the rule and its proof.
func (d *decision) pick() lb.Reason {
	previousSlot := d.readSlot()
	if d.service.Tracking != lb.TrackAlways && !d.why.InTransition {
		return d.choose(d.why.Owner, lb.ByOwner)
	}
	record, found := d.view.Record(d.vip, d.flow)
	d.why.Record, d.why.Recorded = record.Stage, record.Replica
	switch {
	case found && d.serves(record.Replica):
		d.followed(record)
		return d.choose(record.Replica, lb.ByRecord)
	case d.isTCP() && !d.isSYN:
		if d.why.InTransition && d.serves(d.why.PreviousOwner) {
			d.trace(Effects{Trace: PreviousUsed, Slot: previousSlot})
			return d.choose(d.why.PreviousOwner, lb.ByPreviousOwner)
		}
	case d.why.Owner.IsValid():
		d.trace(Effects{Trace: Started, Replica: d.why.Owner})
	}
	return d.choose(d.why.Owner, lb.ByAssignment)
}

// readSlot finds the owners of the flow's slot. It returns the slot of the previous owner, which is another
// one if the service is rehashed.
func (d *decision) readSlot() (previousSlot uint32) {
	key, table := d.view.Key(), functionOf(*d.service)
	d.why.Hash = table.of(key, d.flow)
	if table.Size > 0 {
		d.why.Slot = d.why.Hash % table.Size
		slot := d.view.Slot(d.vip, d.why.Slot)
		d.why.Owner, d.why.PreviousOwner, d.why.InTransition = slot.Owner, slot.Previous, slot.InTransition
	}
	previous, rehashed := d.view.PreviousTable(d.vip)
	if !rehashed {
		return d.why.Slot
	}
	d.why.InTransition, d.why.PreviousOwner = true, netip.AddrPort{}
	if previous.Size > 0 {
		previousSlot = previous.of(key, d.flow) % previous.Size
		d.why.PreviousOwner = d.view.PreviousOwner(d.vip, previousSlot)
	}
	return previousSlot
}

// choose sets the replica and why, unless there is none.
func (d *decision) choose(replica netip.AddrPort, by lb.Choice) lb.Reason {
	if !replica.IsValid() {
		return lb.NoReplica
	}
	d.why.Replica, d.why.Choice = replica, by
	return ok
}

// serves reports whether a replica is given the flows that it has.
func (d *decision) serves(replica netip.AddrPort) bool {
	state, listed := d.view.State(d.vip, replica)
	return listed && (state == lb.Active || state == lb.Draining)
}

// followed notes another packet of a recorded flow.
func (d *decision) followed(r Record) {
	if r.Stage == lb.HalfOpen && !d.isSYN {
		d.trace(Effects{Trace: Promoted})
		return
	}
	d.trace(Effects{Trace: Refreshed})
}

// trace sets what changes in the records of the flow. Later fragments and packets about the flow change
// nothing.
func (d *decision) trace(e Effects) {
	if d.quote != nil || d.part == later {
		return
	}
	e.Fragment, e.VIP, e.Flow = d.effects.Fragment, d.vip, d.flow
	d.effects = e
}
