package oracle

import (
	"net/netip"
	"time"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// answered says by which VIP a packet from a replica's address and port is an answer, false if it is none. If the flow
// that it answers is recorded with the replica, that is noted there.
func (d *decision) answered() (lb.VIP, bool) {
	replica, owners := d.flow.Source, d.view.ReverseNAT(d.flow.Source, d.flow.Protocol)
	var absent, pending []lb.VIP
	for _, o := range owners {
		f := d.answeredBy(o.VIP)
		record, found := d.record(o.VIP, f)
		switch {
		case found && record.Replica == replica:
			d.note(o.VIP, f, record)
			return o.VIP, true
		case found && !d.servesFor(o.VIP, record.Replica):
			absent = append(absent, o.VIP)
		}
		if !o.ByRecord || len(owners) == 1 && !found && d.view.Displaced(f) {
			pending = append(pending, o.VIP)
		}
	}
	switch {
	case len(absent) == 1:
		return absent[0], true
	case len(pending) > 0:
		return pending[0], true
	}
	return lb.VIP{}, false
}

// answeredBy returns the flow to a VIP that the packet would be an answer of.
func (d *decision) answeredBy(v lb.VIP) packet.Flow {
	return packet.Flow{Source: d.flow.Destination, Destination: v.Address, Protocol: d.flow.Protocol}
}

// record returns the record of a flow to a service, if that tracks flows.
func (d *decision) record(v lb.VIP, f packet.Flow) (Record, bool) {
	if s, found := d.view.Service(v); !found || s.Tracking == lb.Stateless {
		return Record{}, false
	}
	return d.view.Record(v, f)
}

// note sets what an answer changes in the record of the flow that it answers.
func (d *decision) note(v lb.VIP, f packet.Flow, r Record) {
	s, _ := d.view.Service(v)
	e := Effects{Trace: Answered, VIP: v, Flow: f, Closed: r.Closed}
	switch {
	case d.isRST:
		e.Closed = ByBoth
	case d.isFIN:
		e.Closed |= ByReplica
	}
	// A half-open TCP flow is the client's to keep alive, else a replica that drains would with its SYN-ACKs.
	if s.Tracking == lb.TrackAlways && d.traces() && (r.Stage == lb.Established || !d.isTCP()) {
		e.Trace = Refreshed
	}
	d.effects = e
}

// sharing looks for flows of the same client, port and replica by other VIPs. The replica could not tell a further one
// from one that has not ended: the port is taken. The records of those that have ended are to be forgotten.
func (d *decision) sharing(replica netip.AddrPort) (ended []lb.VIP, taken bool) {
	if d.service.Mode != lb.NAT {
		return nil, false
	}
	for _, o := range d.view.ReverseNAT(replica, d.flow.Protocol) {
		f := packet.Flow{Source: d.flow.Source, Destination: o.VIP.Address, Protocol: d.flow.Protocol}
		r, found := d.record(o.VIP, f)
		switch {
		case o.VIP == d.vip || !found || r.Replica != replica:
		case r.Closed == ByBoth:
			ended = append(ended, o.VIP)
		default:
			taken = true
		}
	}
	return ended, taken
}

// knows reports whether every flow to a replica is recorded, so that what has no record is no answer.
func (s *service) knows(replica netip.AddrPort) bool {
	return s.Tracking == lb.TrackAlways && !s.unrecorded[replica]
}

// learn takes over from old which replicas may have flows that are not recorded: for an idle time after tracking became
// always, those that could answer before.
func (s *service) learn(old *service) {
	if s.Tracking != lb.TrackAlways || s.Mode != lb.NAT || old.Mode != lb.NAT {
		return
	}
	s.unrecordedFor = old.unrecordedFor
	if old.Tracking != lb.TrackAlways {
		s.unrecordedFor = s.Idle + s.Idle/lb.IdleSteps // then it has been silent for longer than the idle time
	}
	for _, r := range s.Replicas {
		if s.unrecordedFor > 0 && old.lists(r.Address) && !old.knows(r.Address) {
			s.unrecorded[r.Address] = true
		}
	}
}

// awaitRecords lets time pass until every flow is recorded.
func (s *service) awaitRecords(d time.Duration) {
	if s.unrecordedFor = max(0, s.unrecordedFor-d); s.unrecordedFor == 0 {
		clear(s.unrecorded)
	}
}

// forgetShared removes the records of flows to replicas that other services have, too, if the service was not one by nat:
// so far these flows were not compared with those of the others.
func (s *service) forgetShared(old *service, others *lb.Index) {
	if s.Mode != lb.NAT || old.Mode == lb.NAT {
		return
	}
	for f, r := range s.records {
		if len(others.Owners(r.Replica, s.VIP.Protocol)) > 0 {
			delete(s.records, f)
		}
	}
}
