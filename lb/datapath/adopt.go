package datapath

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/tables"
	"lbctl/rss/packet"
)

// adopt reads back what an earlier process left in the tables. It writes only what that process left half done, and what
// contradicts itself: rows that others have overwritten it rewrites, and a service whose row cannot be believed it leaves
// out, for the caller of SetService to make anew. damaged says of each what was done.
func (reg *registry) adopt() (damaged lb.Verification, err error) {
	for _, at := range slices.Sorted(reg.tables.ServiceIndex().Rows()) {
		if err := reg.adoptRow(at); err != nil {
			damaged.Add(lb.Drift{
				Table: bpf.LbMapServices, Key: fmt.Sprintf("row %d", at), Want: "a service; it is left out until it is set again", Have: err.Error(), Repaired: true,
			})
		}
		reg.tables.Trim()
	}
	restored, err := reg.finish()
	damaged.Join(restored)
	return damaged, err
}

// taking takes numbers, and releases them if something else about them is wrong.
type taking []func()

func (t *taking) take(from *tables.Extents, at, n uint32, what string) error {
	if err := from.Take(at, n); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	*t = append(*t, func() { from.Release(at, n) })
	return nil
}

func (reg *registry) adoptRow(at uint32) (err error) {
	var taken taking
	defer func() {
		if err != nil {
			for _, release := range taken {
				release()
			}
		}
	}()
	if err := taken.take(&reg.ids.Rows, at, 1, "row"); err != nil {
		return err
	}
	row := *reg.tables.Services.Row(at)
	if !reg.tables.ServiceIndex().Has(row.Vip, at) {
		return errors.New("it is not where its address and port belong")
	}
	if row.Vip == addressKey(row.Vip.AddrPort().Addr()) {
		a := reg.address(row.Vip.AddrPort().Addr())
		a.At = at
		a.Read(reg.tables)
		return nil
	}
	e := &entry{row: row, at: at, ids: map[netip.AddrPort]uint32{}, service: serviceOf(row)}
	if err := reg.adoptService(e, &taken); err != nil {
		return err
	}
	reg.services[e.service.VIP] = e
	reg.ranges += row.AllRanges
	reg.index.Add(e.service)
	reg.claim(e)
	reg.address(e.service.VIP.Address.Addr()).Services++
	return nil
}

func (reg *registry) adoptService(e *entry, taken *taking) error {
	row := e.row
	if err := taken.take(&reg.ids.Services, row.Id, 1, "service id"); err != nil {
		return err
	}
	for _, r := range e.ranges() {
		if err := taken.take(&reg.ids.Slots, r.From, r.To-r.From, "slots"); err != nil {
			return err
		}
	}
	if err := taken.take(&reg.ids.Lists, row.List-reg.limits.Slots, row.Replicas, "list of replicas"); err != nil {
		return err
	}
	for _, listed := range reg.tables.Slots.Span(row.List, row.Replicas) {
		if err := reg.adoptReplica(e, listed, taken); err != nil {
			return err
		}
	}
	if err := taken.take(&reg.ids.Ranges, row.FirstRange, row.AllRanges, "source ranges"); err != nil {
		return err
	}
	if err := reg.adoptRanges(e); err != nil {
		return err
	}
	if err := reg.plausible(e); err != nil {
		return err
	}
	for at := row.Offset; at < row.Offset+row.Size; at++ {
		if reg.tables.Slot(at).InTransition() {
			e.inTransition++
		}
	}
	e.owners = unlike // so each is compared
	e.recorded = e.tracked() && (e.inTransition > 0 || e.rehashed() || e.service.Tracking == lb.TrackAlways)
	return nil
}

// plausible returns an error if a service is not one that SetService accepts beside the others.
func (reg *registry) plausible(e *entry) error {
	if err := e.service.Validate(); err != nil {
		return err
	}
	if first := e.row.FirstReplica; first != e.firstReplica() {
		return fmt.Errorf("owners count from replica %d, want %d", first, e.firstReplica())
	}
	if e.row.Size != e.service.Slots() {
		return fmt.Errorf("%d slots, want %d", e.row.Size, e.service.Slots())
	}
	_, err := reg.index.Conflict(e.service)
	return err
}

func (reg *registry) adoptReplica(e *entry, listed bpf.LbSlot, taken *taking) error {
	id := listed.Owner
	if err := taken.take(&reg.ids.Replicas, id, 1, "replica id"); err != nil {
		return err
	}
	if of := reg.tables.Replicas.Row(id).Service; of != e.row.Id {
		return fmt.Errorf("replica %d is of service %d, not of %d", id, of, e.row.Id)
	}
	r := lb.Replica{Address: reg.tables.AddressOf(id), Weight: uint16(listed.Previous), State: lb.ReplicaState(listed.Previous >> 16)}
	e.ids[r.Address] = id
	if recorded := reg.tables.RevNats.Row(id).Flags & uint8(bpf.LbRevNatFlagREV_NAT_BY_RECORD); recorded == 0 && e.answered(r.Address) && e.service.Tracking == lb.TrackAlways {
		e.setUnrecorded(r.Address)
		e.unrecordedFor = e.untilRecorded()
	}
	e.service.Replicas = append(e.service.Replicas, r)
	return nil
}

// adoptRanges reads the source ranges of a service, whose rows it has taken.
func (reg *registry) adoptRanges(e *entry) error {
	if int(e.sourceRanges().To) > reg.tables.SourceRanges.Len() { // of a former layout there are none
		return fmt.Errorf("source ranges %v of %d", e.sourceRanges(), reg.tables.SourceRanges.Len())
	}
	for at := e.sourceRanges().From; at < e.sourceRanges().To; at++ {
		e.service.SourceRanges = append(e.service.SourceRanges, reg.tables.SourceRanges.Row(at).Prefix())
	}
	e.service = e.service.Sorted()
	if _, n := rangeRows(e.service); n != e.row.Ranges {
		return fmt.Errorf("packets look at %d source ranges, want %d", e.row.Ranges, n)
	}
	return nil
}

// finish completes the last change of the previous process, in the same order, and restores what no process of ours
// leaves. It waits for packets first: that process may have ended a moment ago, and packets may still read what it retired.
func (reg *registry) finish() (restored lb.Verification, err error) {
	reg.tables.Adopt()
	for _, e := range inOrder(reg.services) {
		reg.writeStates(e)
		reg.flagEntry(e)
		if e.tracked() {
			reg.cleanPrevious(e, false)
		}
		reg.tables.Trim()
	}
	reg.sweepReplicas()
	reg.sweepRevNats()
	reg.sweepAddresses()
	if restored, err = reg.restoreAddresses(); err != nil {
		return restored, err
	}
	reg.finishRanges()
	v := &verifier{registry: reg, repair: true, pause: func() error {
		reg.tables.Trim()
		return nil
	}}
	if err := v.tables(); err != nil {
		return restored, err
	}
	restored.Join(v.Verification)
	if err := reg.grace.Wait(); err != nil {
		return restored, err
	}
	reg.tables.Adopted()
	for _, e := range reg.services {
		for _, id := range e.ids {
			reg.tables.ShortenReplica(id)
		}
	}
	if err := reg.removeStaleRecords(); err != nil {
		return restored, err
	}
	return restored, reg.counters.foldRemoved()
}

// restoreAddresses makes the rows of addresses that have services and no row.
func (reg *registry) restoreAddresses() (restored lb.Verification, err error) {
	for a, row := range reg.addresses {
		if row.At != noRow {
			continue
		}
		if row.At, err = reg.take(&reg.ids.Rows, 1, "the row of the address", lb.VIP{Address: netip.AddrPortFrom(a, 0)}, tables.RowsFor(reg.limits)); err != nil {
			return restored, err
		}
		restored.Add(lb.Drift{Table: bpf.LbMapServices, Key: a.String(), Want: fmt.Sprintf("row %d", row.At), Have: "none", Repaired: true})
	}
	return restored, nil
}

// finishRanges makes the ranges of ports at each address those of its services.
func (reg *registry) finishRanges() {
	for a, row := range reg.addresses {
		var want []bpf.LbPortRange
		for _, s := range reg.index.Ranges(a) {
			want = append(want, rangeOf(s.VIP, s.EndPort))
		}
		for _, r := range row.Ranges {
			if r != (bpf.LbPortRange{}) && !slices.Contains(want, r) {
				row.SwapRange(reg.tables, r, bpf.LbPortRange{})
			}
		}
		for _, r := range want {
			if !slices.Contains(row.Ranges[:], r) {
				row.SwapRange(reg.tables, bpf.LbPortRange{}, r)
			}
		}
	}
	_ = reg.tables.SetRanged(reg.hasRanges()) // a process may have ended before it said so
}

// sweepReplicas sets the state of replicas that no service has to gone.
func (reg *registry) sweepReplicas() {
	for id, row := range reg.tables.Replicas.Pass() {
		if reg.serviceOfReplica(id) != nil || row.IpVersion == 0 {
			continue
		}
		reg.counters.retire(id)
		reg.tables.SetState(id, bpf.LbReplicaStateREPLICA_GONE)
	}
}

// sweepRevNats removes the reverse NAT entries of replicas that no service has.
func (reg *registry) sweepRevNats() {
	var stray []uint32
	for id := range reg.tables.RevNatIndex().Rows() {
		if int(id) >= reg.tables.RevNats.Len() {
			continue // verifier removes it
		}
		e, of := reg.serviceOfReplica(id), reg.tables.RevNats.Row(id).Replica
		if at := of.AddrPort(); !e.answered(at) || e.ids[at] != id || packet.Protocol(of.Protocol) != e.service.VIP.Protocol {
			stray = append(stray, id)
		}
	}
	for _, id := range stray {
		reg.tables.RevNatIndex().Remove(reg.tables.RevNats.Row(id).Replica, id)
	}
}

// sweepAddresses removes addresses that no VIP has.
func (reg *registry) sweepAddresses() {
	for a, row := range reg.addresses {
		if row.Services > 0 {
			continue
		}
		delete(reg.addresses, a)
		if row.At == noRow {
			continue
		}
		reg.tables.ServiceIndex().Remove(addressKey(a), row.At)
		reg.grace.Defer(func() { reg.ids.Rows.Release(row.At, 1) })
	}
}
