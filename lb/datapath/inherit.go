package datapath

import (
	"slices"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/scheduler"
	"lbctl/rss/packet"
)

// inherit sets, in the row of a service that replaces old, the previous owners and the records by which the flows
// from before go on. The row's numbers must be allocated.
func (e *entry) inherit(old *entry) {
	e.row = withoutPreviousTable(e.row)
	e.learn(old)
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
	case e.sameSlots(old) || !e.shares(old):
	case old.rehashed():
		e.keepPreviousTable(old.row.PreviousOffset, old.row.PreviousSize, old.row)
	default:
		e.keepPreviousTable(old.row.Offset, old.row.Size, old.row)
	}
}

// keepPreviousTable makes another table the previous one, with the hash of the records from then.
func (e *entry) keepPreviousTable(offset, size uint32, from bpf.LbService) {
	r := &e.row
	r.Flags |= uint8(bpf.LbServiceFlagSERVICE_REHASHED)
	r.PreviousOffset, r.PreviousSize = offset, size
	r.PreviousHash, r.PreviousSeed = from.PreviousHash, from.PreviousSeed
}

// shares reports whether the service has a replica of old. If not, no flow from before can go on.
func (e *entry) shares(old *entry) bool {
	for a := range old.ids {
		if _, ok := e.ids[a]; ok {
			return true
		}
	}
	return false
}

// sameSlots reports whether the slots of the service and of old (nil: none) are the same parts of the hash space.
// Those that have another owner are then put into transition.
func (e *entry) sameSlots(old *entry) bool {
	return old != nil && e.tracked() && e.service.VIP.Protocol == packet.TCP && !old.rehashed() &&
		e.row.Size == old.row.Size && sameHash(e.row, old.row)
}

// sameHash reports whether all flows have the same hash in the tables of both.
func sameHash(a, b bpf.LbService) bool {
	return a.Hash == b.Hash && (a.Seed == b.Seed || lb.Hash(a.Hash) != lb.JHash)
}

// writeSlots fills the table and the list of replicas of a service that replaces old (nil: none).
func (reg *registry) writeSlots(e, old *entry) {
	ids := reg.writeList(e)
	sameSlots, listed := e.sameSlots(old), list(ids)
	for i, replica := range scheduler.Build(e.service) {
		slot := bpf.SettledSlot(ids[replica])
		if sameSlots {
			slot = inheritSlot(reg.tables.Slot(old.row.Offset+uint32(i)), ids[replica], listed)
		}
		if slot.InTransition() {
			e.inTransition++
		}
		reg.tables.SetSlot(e.row.Offset+uint32(i), slot, e.row.FirstReplica)
	}
	e.owners = reg.digest(e)
	e.recorded = e.tracked() && (e.recorded || e.inTransition > 0 || e.rehashed() || e.service.Tracking == lb.TrackAlways)
}

// inheritSlot returns what a slot becomes that belongs to owner now. A replica that is not listed any more has
// no flows.
func inheritSlot(was bpf.Slot, owner uint32, listed listed) bpf.Slot {
	previous := was.Previous()
	switch {
	case was.InTransition() && listed.has(previous):
		return bpf.TransitionSlot(owner, previous)
	case was.InTransition():
		return bpf.TransitionSlot(owner, bpf.ReplicaNone)
	case previous == owner || !listed.has(previous):
		return bpf.SettledSlot(owner)
	}
	return bpf.TransitionSlot(owner, previous)
}

// writeList writes the service's replicas in the order of the configuration and returns their
// ids. A row has the id and, in place of the previous owner, the weight in the low half and the state in the high
// one: with the row of the service all states are switched at once.
func (reg *registry) writeList(e *entry) []uint32 {
	ids := make([]uint32, len(e.service.Replicas))
	for i, row := range reg.listRows(e) {
		ids[i] = row.Owner
		reg.tables.Slots.Put(e.row.List+uint32(i), row)
	}
	return ids
}

// listRows returns the list of replicas of a service.
func (reg *registry) listRows(e *entry) []bpf.LbSlot {
	list := make([]bpf.LbSlot, len(e.service.Replicas))
	for i, r := range e.service.Replicas {
		list[i] = bpf.LbSlot{Owner: e.ids[r.Address], Previous: uint32(r.Weight) | uint32(r.State)<<16}
	}
	return list
}

// listed is a set of replica ids. Those of one service are near each other, so it takes room from the least to the largest.
type listed struct {
	least uint32
	set   []bool
}

// list returns the set of these ids.
func list(ids []uint32) listed {
	if len(ids) == 0 {
		return listed{}
	}
	l := listed{least: slices.Min(ids)}
	l.set = make([]bool, slices.Max(ids)-l.least+1)
	for _, id := range ids {
		l.set[id-l.least] = true
	}
	return l
}

func (l listed) has(id uint32) bool {
	return id >= l.least && int(id-l.least) < len(l.set) && l.set[id-l.least]
}

// cleanPrevious takes replicas that are not listed any more out of the previous owners of a service and,
// if young, resets their ages. Packets may be changing the ages at the same time.
func (reg *registry) cleanPrevious(e *entry, young bool) {
	ids := make([]uint32, 0, len(e.ids))
	for _, id := range e.ids {
		ids = append(ids, id)
	}
	set := list(ids)
	for at := e.previousSlots().From; at < e.previousSlots().To; at++ {
		reg.cleanPreviousOwner(at, e.previousCountFrom(), set, young)
	}
}

func (reg *registry) cleanPreviousOwner(at, countFrom uint32, set listed, young bool) {
	for {
		was := reg.tables.Slot(at)
		is := was
		if young {
			is = was.WithAge(0)
		}
		if !set.has(is.Previous()) {
			is = is.WithPrevious(bpf.ReplicaNone)
		}
		if is == was || reg.tables.SwapSlot(at, was, is, countFrom) {
			return
		}
	}
}
