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
		e.unrecordedFor = e.service.Idle
	}
	for a := range e.ids {
		if e.unrecordedFor > 0 && e.answered(a) && old.answered(a) && !old.knows(a) {
			e.setUnrecorded(a)
		}
	}
}

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

// revNatFlags returns how packets find out what an answer of a replica is.
func (reg *registry) revNatFlags(e *entry, a netip.AddrPort) uint8 {
	var flags bpf.LbRevNatFlag
	if e.service.Tracking == lb.TrackAlways {
		flags |= bpf.LbRevNatFlagREV_NAT_RECORDED
	}
	if e.knows(a) {
		flags |= bpf.LbRevNatFlagREV_NAT_BY_RECORD
	}
	if len(reg.index.Owners(a, e.service.VIP.Protocol)) > 1 {
		flags |= bpf.LbRevNatFlagREV_NAT_SHARED
	}
	return uint8(flags)
}

// flagEntry brings the flags of the reverse NAT entries of a service up to date. Those of them that are not written yet are
// not touched.
func (reg *registry) flagEntry(e *entry) {
	for a, id := range e.ids {
		if e.answered(a) && reg.tables.RevNatIndex().Has(replicaKey(e.service.VIP, a), id) {
			reg.tables.SetRevNatFlags(id, reg.revNatFlags(e, a))
		}
	}
}

// flagShared brings the flags of all reverse NAT entries up to date that these replicas have, whatever the services.
func (reg *registry) flagShared(replicas []lb.Replica, p packet.Protocol) {
	for _, r := range replicas {
		for _, v := range reg.index.Owners(r.Address, p) {
			if e := reg.services[v]; e.answered(r.Address) {
				reg.tables.SetRevNatFlags(e.ids[r.Address], reg.revNatFlags(e, r.Address))
			}
		}
	}
}

// forgetShared removes the records of flows to replicas that other services have, too, if the service was not one by nat: so
// far these flows were not compared with those of the others.
func (reg *registry) forgetShared(e, old *entry) error {
	shared := listed{}
	for a, id := range e.ids {
		if old.tracked() && e.answered(a) && !old.answered(a) && reg.revNatFlags(e, a)&uint8(bpf.LbRevNatFlagREV_NAT_SHARED) != 0 {
			shared = shared.with(id)
		}
	}
	if len(shared) == 0 {
		return nil
	}
	if err := reg.grace.Wait(); err != nil { // for packets that still go by the old mode
		return err
	}
	reg.tables.Records(func(p tables.Record, r bpf.Record) {
		for r != 0 && shared.has(r.Replica()) && !p.Swap(r, 0) {
			r = p.Read()
		}
	})
	return nil
}
