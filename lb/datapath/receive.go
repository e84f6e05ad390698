package datapath

import (
	"fmt"
	"sync/atomic"

	"lbctl/bpf"
	"lbctl/lb/tables"
)

// receive makes a service of other tables one of these, with its slots, those in transition included. No packet reads
// these tables yet.
func (reg *registry) receive(from *registry, was *entry, keepIDs bool) error {
	e, err := reg.renumber(was, keepIDs)
	if err != nil {
		return err
	}
	reg.know(e.service)
	if err := reg.writeReplicas(e, nil); err != nil {
		return err
	}
	for a, id := range e.ids {
		told := atomic.LoadUint64(&from.tables.Replicas.Row(was.ids[a]).PathMtu)
		atomic.StoreUint64(&reg.tables.Replicas.Row(id).PathMtu, told)
		reg.tables.ShortenReplica(id)
	}
	ids := e.idsFrom(was)
	reg.copySlots(e.row.Offset, e.row.FirstReplica, from, tables.ExtentOf(was.row.Offset, was.row.Size), ids)
	if e.rehashed() {
		reg.copySlots(e.row.PreviousOffset, e.previousCountFrom(), from, was.previousSlots(), ids)
	}
	reg.writeList(e)
	reg.writeRanges(e)
	e.owners = reg.digest(e)
	e.inTransition, e.recorded = was.inTransition, was.recorded
	reg.tables.RetiredCounts.Put(e.row.Id, *from.tables.RetiredCounts.Row(was.row.Id))
	reg.tables.Services.Put(e.at, e.row)
	defer reg.tables.Trim()
	defer from.tables.Trim()
	return reg.install(e, nil)
}

// renumber allocates the numbers of a service of other tables.
func (reg *registry) renumber(was *entry, keepIDs bool) (_ *entry, err error) {
	e := newEntry(was.service)
	e.row, e.unrecorded, e.unrecordedFor = was.row, was.unrecorded, was.unrecordedFor
	take := func(from *tables.Extents, n uint32, what string, limit uint32) (at uint32) {
		if err == nil {
			at, err = reg.take(from, n, what, e.service.VIP, limit)
		}
		return at
	}
	l := reg.limits
	e.at = take(&reg.ids.Rows, 1, "the row", tables.RowsFor(l))
	e.row.Id = take(&reg.ids.Services, 1, "the service", l.Services)
	e.row.FirstRange = take(&reg.ids.Ranges, e.row.AllRanges, "the source ranges", l.SourceRanges)
	e.row.List = l.Slots + take(&reg.ids.Lists, e.row.Replicas, "the list of replicas", tables.ListsFor(l))
	e.row.Offset = take(&reg.ids.Slots, e.row.Size, fmt.Sprintf("%d slots in a row", e.row.Size), l.Slots)
	e.row.PreviousOffset = e.row.Offset
	if e.rehashed() {
		e.row.PreviousOffset = take(&reg.ids.Slots, e.row.PreviousSize, "the previous slots", l.Slots)
	}
	for a, id := range was.ids {
		if !keepIDs {
			id = take(&reg.ids.Replicas, 1, "a replica", l.Replicas)
		} else if err == nil {
			err = reg.ids.Replicas.Take(id, 1)
		}
		e.ids[a] = id
	}
	e.row.FirstReplica = e.firstReplica()
	return e, err
}

// idsFrom returns the ids of an entry's replicas by those that they have in other tables.
func (e *entry) idsFrom(was *entry) map[uint32]uint32 {
	ids := make(map[uint32]uint32, len(was.ids))
	for a, id := range was.ids {
		if is, here := e.ids[a]; here {
			ids[id] = is
		}
	}
	return ids
}

// copySlots writes slots of other tables from a slot of these on, whose owners count from an id on.
func (reg *registry) copySlots(at, countFrom uint32, from *registry, slots tables.Extent, ids map[uint32]uint32) {
	number := func(id uint32) uint32 {
		if is, here := ids[id]; here {
			return is
		}
		return bpf.ReplicaNone
	}
	for was := slots.From; was < slots.To; was++ {
		s := from.tables.Slot(was)
		reg.tables.SetSlot(at+was-slots.From, s.Renumbered(number(s.Owner()), number(s.Previous())), countFrom)
	}
}

// carryRecords adds the records of other tables of the same services.
func (reg *registry) carryRecords(from *registry) (carried, lost int) {
	ids := map[uint32]uint32{}
	for v, was := range from.services {
		if e := reg.services[v]; e != nil && e.tracked() {
			for id, is := range e.idsFrom(was) {
				ids[id] = is
			}
		}
	}
	return reg.tables.CarryRecords(from.tables, func(id uint32) (uint32, bool) {
		is, here := ids[id]
		return is, here
	})
}

// catchUp gives the slots the ages and the replicas the path MTUs that packets have given them in other tables of the same
// services, where those are newer.
func (reg *registry) catchUp(from *registry) {
	for v, was := range from.services {
		e := reg.services[v]
		if e == nil {
			continue
		}
		for a, id := range e.ids {
			word := &reg.tables.Replicas.Row(id).PathMtu
			is, told := atomic.LoadUint64(word), atomic.LoadUint64(&from.tables.Replicas.Row(was.ids[a]).PathMtu)
			if told>>16 > is>>16 {
				atomic.CompareAndSwapUint64(word, is, told)
				reg.tables.ShortenReplica(id)
			}
		}
		slots, old := e.previousSlots(), was.previousSlots()
		for at := slots.From; at < slots.To; at++ {
			s, seen := reg.tables.Slot(at), from.tables.Slot(old.From+at-slots.From)
			if seen.Age() < s.Age() {
				reg.tables.SwapSlot(at, s, s.WithAge(seen.Age()), e.previousCountFrom())
			}
		}
		reg.tables.Trim()
		from.tables.Trim()
	}
}
