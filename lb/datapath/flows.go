package datapath

import (
	"net/netip"

	"lbctl/bpf"
	"lbctl/lb"
)

// Flows implements lb.Dataplane: it reads all records, and the previous owners of slots in transition.
func (d *Datapath) Flows() (map[lb.VIP]lb.Flows, error) {
	unlock, err := d.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	byID := make([]lb.ReplicaFlows, len(d.byReplica))
	d.tables.records(func(p recordAt, r bpf.Record) {
		switch {
		case !d.serviceOfReplica(r.Replica()).tracked():
		case p.stage == lb.HalfOpen:
			byID[r.Replica()].HalfOpen++
		default:
			byID[r.Replica()].Established++
		}
	})
	all := make(map[lb.VIP]lb.Flows, len(d.services))
	for v, e := range d.services {
		d.countOldFlows(e, byID)
		f := lb.Flows{InTransition: e.slotsInTransition(), Replicas: make(map[netip.AddrPort]lb.ReplicaFlows, len(e.ids))}
		for a, id := range e.ids {
			f.Replicas[a] = byID[id]
		}
		all[v] = f
	}
	return all, nil
}

// slotsInTransition is the number of slots whose flows may be elsewhere than with the owner.
func (e *entry) slotsInTransition() uint32 {
	if e.rehashed() {
		return e.row.Size
	}
	return e.inTransition
}

// countOldFlows counts, for each replica, the slots in which flows from before still go to it.
func (d *Datapath) countOldFlows(e *entry, byID []lb.ReplicaFlows) {
	if !e.rehashed() && e.inTransition == 0 {
		return
	}
	for at := e.previousSlots().from; at < e.previousSlots().to; at++ {
		if s := d.tables.readSlot(at); (e.rehashed() || s.InTransition()) && !previousUnused(s) {
			byID[s.Previous()].OldFlowSlots++
		}
	}
}
