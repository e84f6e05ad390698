package datapath

import (
	"net/netip"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/tables"
	"lbctl/rss/packet"
)

// knows reports whether every flow to a replica is recorded, so that what has no record is no answer.
func (e *entry) knows(a netip.AddrPort) bool {
	return e.service.Tracking == lb.TrackAlways && !e.unrecorded[a]
}

// learn takes over from old which replicas may have flows that are not recorded: for an idle time after tracking became
// always, those that could answer before.
func (e *entry) learn(old *entry) {
	if old == nil || e.service.Tracking != lb.TrackAlways {
		return
	}
	e.unrecordedFor = old.unrecordedFor
	if old.service.Tracking != lb.TrackAlways {
		e.unrecordedFor = e.untilRecorded()
	}
	for a := range e.ids {
		if e.unrecordedFor > 0 && e.answered(a) && old.answered(a) && !old.knows(a) {
			e.setUnrecorded(a)
		}
	}
}

// untilRecorded is how long it takes, after tracking became always, until a flow has been recorded or was silent for longer
// than the idle time.
func (e *entry) untilRecorded() time.Duration { return e.service.Idle + e.service.Idle/lb.IdleSteps }

func (e *entry) setUnrecorded(a netip.AddrPort) {
	if e.unrecorded == nil {
		e.unrecorded = map[netip.AddrPort]bool{}
	}
	e.unrecorded[a] = true
}

// awaitRecords lets time pass until every flow is recorded.
func (reg *registry) awaitRecords(elapsed time.Duration) {
	for _, e := range reg.services {
		if e.unrecordedFor == 0 {
			continue
		}
		if e.unrecordedFor = max(0, e.unrecordedFor-elapsed); e.unrecordedFor == 0 {
			e.unrecorded = nil
			reg.flagEntry(e)
		}
	}
}

// revNatRow returns the reverse NAT entry of a service's replica: with how packets find out what an answer of it is, and
// the hash by which they find the flow's record.
func (reg *registry) revNatRow(e *entry, a netip.AddrPort) bpf.LbRevNat {
	row := revNatRow(e.service.VIP, a)
	if !e.tracked() {
		return row
	}
	row.Hash, row.Seed = e.row.PreviousHash, e.row.PreviousSeed
	flags := bpf.LbRevNatFlagREV_NAT_TRACKED
	if e.service.Tracking == lb.TrackAlways {
		flags |= bpf.LbRevNatFlagREV_NAT_RECORDED
	}
	if e.knows(a) {
		flags |= bpf.LbRevNatFlagREV_NAT_BY_RECORD
	}
	if reg.shared(e, a) {
		flags |= bpf.LbRevNatFlagREV_NAT_SHARED
	}
	row.Flags = uint8(flags)
	return row
}

// shared reports whether other services have a replica, too.
func (reg *registry) shared(e *entry, a netip.AddrPort) bool {
	return reg.index.Shared(a, e.service.VIP.Protocol)
}

// flagEntry brings the reverse NAT entries of a service up to date. Those of them that are not written yet are not touched.
func (reg *registry) flagEntry(e *entry) {
	for a, id := range e.ids {
		if e.answered(a) && reg.tables.RevNatIndex().Has(replicaKey(e.service.VIP, a), id) {
			reg.tables.SetRevNat(id, reg.revNatRow(e, a))
		}
	}
}

// flagShared brings all reverse NAT entries up to date that these replicas have, whatever the services.
func (reg *registry) flagShared(replicas []lb.Replica, p packet.Protocol) {
	for _, r := range replicas {
		for _, v := range reg.index.Owners(r.Address, p) {
			if e := reg.services[v]; e.answered(r.Address) {
				reg.tables.SetRevNat(e.ids[r.Address], reg.revNatRow(e, r.Address))
			}
		}
	}
}

// know adds a service to the index, before its rows are written. Those who share replicas with it know it from now on.
func (reg *registry) know(s lb.Service) {
	if reg.index.Add(s) {
		reg.flagShared(s.Replicas, s.VIP.Protocol)
	}
}

// forgetShared removes the records of flows to replicas that other services have, too, if the service was not one by nat: so
// far these flows were not compared with those of the others.
func (reg *registry) forgetShared(e, old *entry) error {
	var ids []uint32
	for a, id := range e.ids {
		if old.tracked() && e.answered(a) && !old.answered(a) && reg.shared(e, a) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if err := reg.grace.Wait(); err != nil { // for packets that still go by the old mode
		return err
	}
	shared := list(ids)
	reg.tables.Records(func(p tables.Record, r bpf.Record) {
		for r != 0 && shared.has(r.Replica()) && !p.Swap(r, 0) {
			r = p.Read()
		}
	})
	return nil
}
