package datapath

import (
	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/scheduler"
	"lbctl/rss/packet"
)

// inherit writes into the row of a service that takes the place of old by which bases and
// records the flows from before go on. Its numbers must be known.
func (e *entry) inherit(old *entry) {
	e.row = withOwnBase(e.row)
	if old == nil || !e.tracked() {
		return
	}
	if e.service.Idle == old.service.Idle {
		e.lag = old.lag
	}
	e.recorded = old.tracked() && old.recorded && e.shares(old)
	switch {
	case e.service.VIP.Protocol == packet.UDP:
		if e.recorded {
			e.row.PreviousHash, e.row.PreviousSeed = old.row.PreviousHash, old.row.PreviousSeed
		}
	case e.marking(old) || !e.shares(old):
	case old.moved():
		e.move(old.row.PreviousOffset, old.row.PreviousSize, old.row)
	default:
		e.move(old.row.Offset, old.row.Size, old.row)
	}
}

// move makes the slots of another table the base, and its hash that of records.
func (e *entry) move(offset, size uint32, from bpf.LbService) {
	r := &e.row
	r.Flags |= uint8(bpf.LbServiceFlagSERVICE_REHASHED)
	r.PreviousOffset, r.PreviousSize, r.PreviousReciprocal = offset, size, reciprocal(size)
	r.PreviousHash, r.PreviousSeed = from.PreviousHash, from.PreviousSeed
}

// shares tells whether the service has one of old's replicas: there are no flows of others.
func (e *entry) shares(old *entry) bool {
	for a := range old.ids {
		if _, ok := e.ids[a]; ok {
			return true
		}
	}
	return false
}

// marking tells whether the slots of the service that differ from those of old (nil: none) are
// marked: those of both are the same parts of the hash space.
func (e *entry) marking(old *entry) bool {
	return old != nil && e.tracked() && e.service.VIP.Protocol == packet.TCP && !old.moved() &&
		e.row.Size == old.row.Size && sameHash(e.row, old.row)
}

// sameHash tells whether all flows have the same hash in the tables of both.
func sameHash(a, b bpf.LbService) bool {
	return a.Hash == b.Hash && (a.Seed == b.Seed || lb.Hash(a.Hash) != lb.JHash)
}

// writeSlots fills the table and the list of replicas of a service that takes the place of
// old, if that is not nil.
func (d *Datapath) writeSlots(e, old *entry) {
	ids := d.writeList(e)
	marking, listed := e.marking(old), d.list(ids)
	for i, replica := range scheduler.Build(e.service) {
		slot := bpf.SettledSlot(ids[replica])
		if marking {
			slot = succeed(d.tables.readSlot(old.row.Offset+uint32(i)), ids[replica], listed)
		}
		if slot.InTransition() {
			e.marks++
		}
		*d.tables.slot(e.row.Offset + uint32(i)) = uint64(slot)
	}
	e.recorded = e.tracked() && (e.recorded || e.marks > 0 || e.moved() || e.service.Tracking == lb.TrackAlways)
}

// succeed returns the slot that follows on was and belongs to an owner: of a replica that is
// not listed any more there are no flows.
func succeed(was bpf.Slot, owner uint32, listed listed) bpf.Slot {
	base := was.Previous()
	switch {
	case was.InTransition() && listed.has(base):
		return bpf.TransitionSlot(owner, base)
	case was.InTransition():
		return bpf.TransitionSlot(owner, bpf.ReplicaNone)
	case base == owner || !listed.has(base):
		return bpf.SettledSlot(owner)
	}
	return bpf.TransitionSlot(owner, base)
}

// writeList writes the service's replicas in the order of the configuration and returns their
// ids. A row has the id and, as its base, the weight in the low half and the state in the high
// one: with the row of the service all states are switched at once.
func (d *Datapath) writeList(e *entry) []uint32 {
	list := d.tables.slots.rows[e.row.List:]
	ids := make([]uint32, len(e.service.Replicas))
	for i, r := range e.service.Replicas {
		ids[i] = e.ids[r.Address]
		list[i] = bpf.LbSlot{Owner: ids[i], Previous: uint32(r.Weight) | uint32(r.State)<<16}
	}
	return ids
}

// listed is a set of replica ids.
type listed []bool

// list returns the set of these ids.
func (d *Datapath) list(ids []uint32) listed {
	set := make(listed, len(d.byID))
	for _, id := range ids {
		for int(id) >= len(set) {
			set = append(set, false)
		}
		set[id] = true
	}
	return set
}

func (l listed) has(id uint32) bool { return int(id) < len(l) && l[id] }

// cleanBases takes replicas that are not listed any more out of the bases of a service and, if
// young, starts their ages anew. Packets may be changing the ages.
func (d *Datapath) cleanBases(e *entry, young bool) {
	ids := make([]uint32, 0, len(e.ids))
	for _, id := range e.ids {
		ids = append(ids, id)
	}
	set := d.list(ids)
	for at := e.bases().from; at < e.bases().to; at++ {
		d.cleanBase(at, set, young)
	}
}

func (d *Datapath) cleanBase(at uint32, set listed, young bool) {
	for {
		was := d.tables.readSlot(at)
		is := was
		if young {
			is = was.WithAge(0)
		}
		if !set.has(is.Previous()) {
			is = is.WithPrevious(bpf.ReplicaNone)
		}
		if is == was || d.tables.swapSlot(at, was, is) {
			return
		}
	}
}
