package datapath

import (
	"math"
	"net/netip"
	"slices"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/tables"
)

// retire retires what e has and keep (nil: none) has not. The index does not point at e any more, or not yet. But
// packets that have read the index before may still be reading e, so its numbers are freed only by reclaim.
func (reg *registry) retire(e, keep *entry) {
	reg.grace.Changed()
	ids := reg.retireReplicas(e, keep)
	if e.recorded && (len(ids) > 0 || !keep.tracked()) {
		reg.staleRecords = true
	}
	ranges := e.ranges()
	if keep != nil {
		kept := keep.ranges()
		ranges = slices.DeleteFunc(ranges, func(r tables.Extent) bool { return slices.Contains(kept, r) })
	}
	reg.grace.Defer(func() {
		for _, id := range ids {
			reg.ids.Replicas.Release(id, 1)
		}
		for _, r := range ranges {
			reg.ids.Slots.Release(r.From, r.To-r.From)
		}
		if keep == nil {
			reg.ids.Services.Release(e.row.Id, 1)
		}
		if list := e.listOf(); keep == nil || keep.listOf() != list {
			reg.ids.Lists.Release(list.From-reg.limits.Slots, e.row.Replicas)
		}
		if keep == nil || keep.sourceRanges() != e.sourceRanges() {
			reg.ids.Ranges.Release(e.row.FirstRange, e.row.AllRanges)
		}
		reg.ids.Rows.Release(e.at, 1)
	})
}

// retireReplicas removes the reverse NAT entries and the replicas of e that keep has not, and returns
// the ids of these replicas.
func (reg *registry) retireReplicas(e, keep *entry) (ids []uint32) {
	for a, id := range e.ids {
		if e.answered(a) && !keep.answered(a) {
			k := replicaKey(e.service.VIP, a)
			reg.tables.RevNatIndex().Remove(k, id)
		}
		if _, ok := keep.replicaID(a); ok {
			continue
		}
		reg.tables.SetState(id, bpf.LbReplicaStateREPLICA_GONE)
		if reg.serviceOfReplica(id) == e {
			reg.byReplica[id] = nil
		}
		reg.hops.forget(id)
		reg.counters.retire(id)
		ids = append(ids, id)
	}
	return ids
}

// reclaim waits until no packet reads what is retired, removes the records that are of no service, and
// frees the numbers. One grace period, or two around one pass over all records serve any number of changes, and
// neither is needed before numbers run out.
func (reg *registry) reclaim() error {
	if !reg.grace.Deferred() && !reg.staleRecords {
		return nil
	}
	if err := reg.grace.Wait(); err != nil {
		return err
	}
	if reg.staleRecords {
		if err := reg.removeStaleRecords(); err != nil {
			return err
		}
	}
	if err := reg.counters.foldRemoved(); err != nil {
		return err
	}
	reg.grace.Free()
	return nil
}

// removeStaleRecords removes all records that name no replica of a service that tracks flows. No packet may
// read what a change has replaced. It returns when none has read such a record either: their replicas' rows may be
// written again.
func (reg *registry) removeStaleRecords() error {
	reg.tables.Records(func(p tables.Record, r bpf.Record) {
		for r != 0 {
			if e := reg.serviceOfReplica(r.Replica()); e != nil && e.tracked() {
				e.recorded = true
				return
			}
			if p.Swap(r, 0) {
				return
			}
			r = p.Read()
		}
	})
	reg.staleRecords = false
	return reg.grace.Wait()
}

// finishTransition gives a rehashed service a row without a previous table.
func (reg *registry) finishTransition(e *entry) error {
	at, err := reg.take(&reg.ids.Rows, 1, "the row", e.service.VIP, tables.RowsFor(reg.limits))
	if err != nil {
		return err
	}
	next := *e
	next.aging = nil
	next.at, next.row = at, withoutPreviousTable(e.row)
	reg.tables.Services.Put(at, next.row)
	reg.flagEntry(&next)
	reg.tables.ServiceIndex().Replace(e.row.Vip, e.at, at)
	reg.services[e.service.VIP] = &next
	reg.claim(&next)
	reg.retire(e, &next)
	return nil
}

// noRow is in the place of the row that an address must have, and has not.
const noRow = math.MaxUint32

// addressKey is the endpoint of the row of an address. Its port and protocol are 0, which no VIP has.
func addressKey(a netip.Addr) bpf.LbEndpoint { return bpf.Endpoint(netip.AddrPortFrom(a, 0), 0) }

// addAddress makes the address of a VIP visible to packets. Errors: lb.ErrFull; then nothing has changed.
func (reg *registry) addAddress(v lb.VIP) error {
	a := v.Address.Addr()
	if row, ok := reg.addresses[a]; ok {
		row.Services++
		return nil
	}
	at, err := reg.take(&reg.ids.Rows, 1, "the row of the address", v, tables.RowsFor(reg.limits))
	if err != nil {
		return err
	}
	row := &tables.Address{At: at, Services: 1}
	reg.tables.Services.Put(at, row.Row(addressKey(a)))
	if err := reg.tables.ServiceIndex().Add(addressKey(a), at); err != nil {
		reg.ids.Rows.Release(at, 1)
		return err
	}
	reg.addresses[a] = row
	return nil
}

// removeAddress makes the address of a removed VIP invisible, unless another VIP has it.
func (reg *registry) removeAddress(a netip.Addr) {
	row := reg.addresses[a]
	if row.Services--; row.Services > 0 {
		return
	}
	reg.tables.ServiceIndex().Remove(addressKey(a), row.At)
	delete(reg.addresses, a)
	reg.grace.Defer(func() { reg.ids.Rows.Release(row.At, 1) })
}

// address returns the row of an address; if there is none, a new one without number and services.
func (reg *registry) address(a netip.Addr) *tables.Address {
	if reg.addresses[a] == nil {
		reg.addresses[a] = &tables.Address{At: noRow}
	}
	return reg.addresses[a]
}

// swapRange changes for which ports packets look at the row of a service, by its last port; 0: for the first one alone. It
// has those that its row says: so a range is widened before the row that needs it is visible, and narrowed after.
func (reg *registry) swapRange(v lb.VIP, was, is uint16) {
	if was == is {
		return
	}
	if is != 0 {
		reg.tables.SetRanged(true)
	}
	reg.addresses[v.Address.Addr()].SwapRange(reg.tables, rangeOf(v, was), rangeOf(v, is))
	if is == 0 {
		reg.tables.SetRanged(reg.hasRanges())
	}
}

func (reg *registry) hasRanges() bool {
	for _, row := range reg.addresses {
		if row.HasRanges() {
			return true
		}
	}
	return false
}

// rangeOf returns the ports of a service with that VIP and last port.
func rangeOf(v lb.VIP, last uint16) bpf.LbPortRange {
	return bpf.PortRange(v.Address.Port(), last, uint8(v.Protocol))
}
