package datapath

import (
	"fmt"
	"net/netip"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/rss/packet"
)

// adopt reads back what an earlier process left in the tables. It writes only what that process left half done.
func (reg *registry) adopt() error {
	for at := range reg.tables.ServiceIndex().Rows() {
		if err := reg.adoptRow(at); err != nil {
			return fmt.Errorf("%w: row %d: %v", lb.ErrConflict, at, err)
		}
	}
	return reg.finish()
}

func (reg *registry) adoptRow(at uint32) error {
	if err := reg.ids.Rows.Take(at, 1); err != nil {
		return fmt.Errorf("row: %w", err)
	}
	row := reg.tables.Services.Rows[at]
	if row.Vip == addressKey(row.Vip.AddrPort().Addr()) {
		reg.address(row.Vip.AddrPort().Addr()).at = at
		return nil
	}
	e := &entry{row: row, at: at, ids: map[netip.AddrPort]uint32{}, service: serviceOf(row)}
	if err := reg.adoptService(e); err != nil {
		return err
	}
	reg.services[e.service.VIP] = e
	reg.index.Add(e.service)
	reg.claim(e)
	reg.address(e.service.VIP.Address.Addr()).services++
	return nil
}

func (reg *registry) adoptService(e *entry) error {
	row := e.row
	if err := reg.ids.Services.Take(row.Id, 1); err != nil {
		return fmt.Errorf("service id: %w", err)
	}
	for _, r := range e.ranges() {
		if err := reg.ids.Slots.Take(r.From, r.To-r.From); err != nil {
			return fmt.Errorf("slots: %w", err)
		}
	}
	if err := reg.ids.Lists.Take(row.List-reg.limits.Slots, row.Replicas); err != nil {
		return fmt.Errorf("list of replicas: %w", err)
	}
	for _, listed := range reg.tables.Slots.Rows[row.List:][:row.Replicas] {
		if err := reg.adoptReplica(e, listed); err != nil {
			return err
		}
	}
	for at := row.Offset; at < row.Offset+row.Size; at++ {
		if reg.tables.Slot(at).InTransition() {
			e.inTransition++
		}
	}
	e.owners = reg.digest(e)
	e.recorded = e.tracked() && (e.inTransition > 0 || e.rehashed() || e.service.Tracking == lb.TrackAlways)
	return nil
}

func (reg *registry) adoptReplica(e *entry, listed bpf.LbSlot) error {
	id := listed.Owner
	if err := reg.ids.Replicas.Take(id, 1); err != nil {
		return fmt.Errorf("replica id: %w", err)
	}
	r := lb.Replica{Address: reg.tables.AddressOf(id), Weight: uint16(listed.Previous), State: lb.ReplicaState(listed.Previous >> 16)}
	e.ids[r.Address] = id
	e.service.Replicas = append(e.service.Replicas, r)
	return nil
}

// finish completes the last change of the previous process, in the same order. It waits for packets first: that
// process may have ended a moment ago, and packets may still read what it retired.
func (reg *registry) finish() error {
	for _, e := range reg.services {
		reg.writeStates(e)
		if e.tracked() {
			reg.cleanPrevious(e, false)
		}
	}
	reg.sweepReplicas()
	reg.sweepRevNats()
	reg.sweepAddresses()
	if err := reg.grace.Wait(); err != nil {
		return err
	}
	reg.removeStaleRecords()
	return reg.counters.foldRemoved()
}

// sweepReplicas sets the state of replicas that no service has to gone.
func (reg *registry) sweepReplicas() {
	for id := range reg.tables.Replicas.Rows {
		row := &reg.tables.Replicas.Rows[id]
		if reg.serviceOfReplica(uint32(id)) != nil || row.IpVersion == 0 {
			continue
		}
		reg.counters.retire(uint32(id))
		reg.tables.SetState(uint32(id), bpf.LbReplicaStateREPLICA_GONE)
	}
}

// sweepRevNats removes the reverse NAT entries of replicas that no service has.
func (reg *registry) sweepRevNats() {
	var stray []uint32
	for id := range reg.tables.RevNatIndex().Rows() {
		o := reg.tables.RevNats.Rows[id]
		v, ok := reg.index.Owner(o.Replica.AddrPort(), packet.Protocol(o.Replica.Protocol))
		if !ok || reg.services[v].ids[o.Replica.AddrPort()] != id {
			stray = append(stray, id)
		}
	}
	for _, id := range stray {
		reg.tables.RevNatIndex().Remove(reg.tables.RevNats.Rows[id].Replica, id)
	}
}

// sweepAddresses removes addresses that no VIP has.
func (reg *registry) sweepAddresses() {
	for a, row := range reg.addresses {
		if row.services > 0 {
			continue
		}
		reg.tables.ServiceIndex().Remove(addressKey(a), row.at)
		delete(reg.addresses, a)
		reg.grace.Defer(func() { reg.ids.Rows.Release(row.at, 1) })
	}
}
