package datapath

import (
	"net/netip"

	"lbctl/bpf"
	"lbctl/lb"
)

// Flows implements lb.Dataplane: one look at all records and at the bases of what is marked.
func (d *Datapath) Flows() (map[lb.VIP]lb.Flows, error) {
	unlock, err := d.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	byID := make([]lb.ReplicaFlows, len(d.byID))
	d.tables.records(func(p recordAt, r bpf.Record) {
		switch {
		case !d.ownerOf(r.Replica()).tracked():
		case p.stage == lb.HalfOpen:
			byID[r.Replica()].HalfOpen++
		default:
			byID[r.Replica()].Established++
		}
	})
	all := make(map[lb.VIP]lb.Flows, len(d.services))
	for v, e := range d.services {
		d.countBases(e, byID)
		f := lb.Flows{InTransition: e.marked(), Replicas: make(map[netip.AddrPort]lb.ReplicaFlows, len(e.ids))}
		for a, id := range e.ids {
			f.Replicas[a] = byID[id]
		}
		all[v] = f
	}
	return all, nil
}

// marked is the number of slots in which flows may be elsewhere than the table says.
func (e *entry) marked() uint32 {
	if e.moved() {
		return e.row.Size
	}
	return e.marks
}

// countBases counts the bases that flows may still go by.
func (d *Datapath) countBases(e *entry, byID []lb.ReplicaFlows) {
	if !e.moved() && e.marks == 0 {
		return
	}
	for at := e.bases().from; at < e.bases().to; at++ {
		if s := d.tables.readSlot(at); (e.moved() || s.InTransition()) && !isUnused(s) {
			byID[s.Previous()].OldFlowSlots++
		}
	}
}
