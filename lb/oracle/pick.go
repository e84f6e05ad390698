package oracle

import (
	"net/netip"

	"lbctl/lb"
)

// pick chooses the replica of a flow to a VIP. The package comment has the rule and its proof.
func (d *decision) pick() lb.Reason {
	previousSlot := d.readSlot()
	if !d.only && !d.service.Accepts(d.flow.Source.Addr()) {
		return lb.SourceDenied
	}
	begins := d.isSYN && d.traces()
	if d.service.Tracking != lb.TrackAlways && !d.why.InTransition {
		return d.choose(d.why.Owner, lb.ByOwner, begins)
	}
	record, found := d.view.Record(d.vip, d.flow)
	d.why.Record, d.why.Recorded = record.Stage, record.Replica
	switch {
	case found && d.serves(record.Replica) && !d.beginsAnew(record):
		d.followed(record)
		return d.choose(record.Replica, lb.ByRecord, begins)
	case d.isTCP() && !d.isSYN:
		began := d.service.Tracking != lb.TrackAlways || found // and is not recorded now
		if d.why.InTransition && d.serves(d.why.PreviousOwner) {
			return d.start(d.why.PreviousOwner, lb.ByPreviousOwner, began, Effects{PreviousUsed: true, Slot: previousSlot})
		}
		return d.start(d.why.Owner, lb.ByAssignment, began, Effects{})
	}
	return d.start(d.why.Owner, lb.ByAssignment, false, Effects{})
}

// start chooses the replica of a flow that has no record, or of which the record does not count any more. Unless the flow
// began before, it is recorded.
func (d *decision) start(replica netip.AddrPort, by lb.Choice, began bool, e Effects) lb.Reason {
	begins := d.traces() && (d.isSYN || !d.isTCP() && !began)
	if reason := d.choose(replica, by, begins); reason != ok || began {
		d.trace(e)
		return reason
	}
	taken := false
	if e.Forgotten, taken = d.sharing(replica); taken && d.traces() {
		d.trace(Effects{PreviousUsed: e.PreviousUsed, Slot: e.Slot, Forgotten: e.Forgotten})
		return lb.PortTaken
	}
	e.Trace, e.Replica, e.Closed = Started, replica, d.closing(0)
	if d.isTCP() && !d.isSYN {
		e.Closed |= ByReplica // up to its next packet: a SYN is not one that is sent again
	}
	d.trace(e)
	return ok
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

// choose sets the replica and why, unless there is none, and asks whether the packet, which may begin a flow, may go there.
func (d *decision) choose(replica netip.AddrPort, by lb.Choice, begins bool) lb.Reason {
	if !replica.IsValid() {
		return lb.NoReplica
	}
	d.why.Replica, d.why.Choice, d.begins = replica, by, begins
	return d.limited(begins)
}

// serves reports whether a replica is given the flows that it has.
func (d *decision) serves(replica netip.AddrPort) bool { return d.servesFor(d.vip, replica) }

func (d *decision) servesFor(v lb.VIP, replica netip.AddrPort) bool {
	state, listed := d.view.State(v, replica)
	return listed && (state == lb.Active || state == lb.Draining)
}

// beginsAnew reports whether the packet is not of the recorded flow, but the first one of another with the same
// addresses and ports.
func (d *decision) beginsAnew(r Record) bool {
	if !d.isSYN {
		return false
	}
	return r.Closed == ByBoth || d.drains(r.Replica) && (r.Stage == lb.Established || r.Closed != 0 || r.Age >= lb.StartingSteps)
}

// drains reports whether a replica keeps the flows that it has and gets no other ones.
func (d *decision) drains(replica netip.AddrPort) bool {
	state, listed := d.view.State(d.vip, replica)
	return listed && state == lb.Draining
}

// followed notes another packet of a recorded flow.
func (d *decision) followed(r Record) {
	switch {
	case !d.isSYN && r.Stage == lb.HalfOpen:
		if r.Closed == ByReplica {
			r.Closed = 0
		}
		d.trace(Effects{Trace: Promoted, Closed: d.closing(r.Closed)})
	case d.isSYN && r.Stage == lb.HalfOpen && d.drains(r.Replica):
	default:
		d.trace(Effects{Trace: Refreshed, Closed: d.closing(r.Closed)})
	}
}

// closing returns who has closed a flow after a packet of its client.
func (d *decision) closing(was Closed) Closed {
	switch {
	case d.isRST:
		return ByBoth
	case d.isFIN && d.service.Mode != lb.NAT:
		return ByBoth // answers do not come by here
	case d.isFIN:
		return was | ByClient
	case d.hasData:
		return 0
	}
	return was
}

// traces reports whether the packet counts as one of its flow. Later fragments and packets about the flow do not.
func (d *decision) traces() bool { return d.quote == nil && d.part != later }

// trace sets what changes in the records of the flow.
func (d *decision) trace(e Effects) {
	if !d.traces() {
		return
	}
	e.Fragments, e.Rates, e.VIP, e.Flow = d.effects.Fragments, d.effects.Rates, d.vip, d.flow
	d.effects = e
}
