package datapath

import (
	"fmt"
	"net/netip"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/xdp"
	"lbctl/rss/packet"
)

// adopt reads back what an earlier process left in the tables. It writes only what that process left half
// done.
func (d *Datapath) adopt() error {
	var err error
	if d.hook, err = xdp.Open(d.options.Dir, programPin); err != nil {
		return err
	}
	for at := range d.tables.serviceAt().rows() {
		if err := d.adoptRow(at); err != nil {
			return fmt.Errorf("%w: pinned tables in %s: row %d: %v", lb.ErrConflict, d.options.Dir, at, err)
		}
	}
	if len(d.services) > 0 {
		d.options.Logger.Info("took over pinned tables", "services", len(d.services), "interfaces", len(d.hook.Links))
	}
	return d.finish()
}

func (d *Datapath) adoptRow(at uint32) error {
	if err := d.ids.rows.take(at, 1); err != nil {
		return fmt.Errorf("row: %w", err)
	}
	row := d.tables.services.rows[at]
	if row.Vip == addressKey(row.Vip.AddrPort().Addr()) {
		d.address(row.Vip.AddrPort().Addr()).at = at
		return nil
	}
	e := &entry{row: row, at: at, ids: map[netip.AddrPort]uint32{}, service: serviceOf(row)}
	if err := d.adoptService(e); err != nil {
		return err
	}
	d.services[e.service.VIP] = e
	d.index.Add(e.service)
	d.claim(e)
	d.address(e.service.VIP.Address.Addr()).services++
	return nil
}

func (d *Datapath) adoptService(e *entry) error {
	row := e.row
	if err := d.ids.services.take(row.Id, 1); err != nil {
		return fmt.Errorf("service id: %w", err)
	}
	for _, r := range e.ranges() {
		if err := d.ids.slots.take(r.from, r.to-r.from); err != nil {
			return fmt.Errorf("slots: %w", err)
		}
	}
	if err := d.ids.lists.take(row.List-d.options.Limits.Slots, row.Replicas); err != nil {
		return fmt.Errorf("list of replicas: %w", err)
	}
	for _, listed := range d.tables.slots.rows[row.List:][:row.Replicas] {
		if err := d.adoptReplica(e, listed); err != nil {
			return err
		}
	}
	for at := row.Offset; at < row.Offset+row.Size; at++ {
		if d.tables.readSlot(at).InTransition() {
			e.inTransition++
		}
	}
	e.recorded = e.tracked() && (e.inTransition > 0 || e.rehashed() || e.service.Tracking == lb.TrackAlways)
	return nil
}

func (d *Datapath) adoptReplica(e *entry, listed bpf.LbSlot) error {
	id := listed.Owner
	if err := d.ids.replicas.take(id, 1); err != nil {
		return fmt.Errorf("replica id: %w", err)
	}
	r := lb.Replica{Address: d.tables.addressOf(id), Weight: uint16(listed.Previous), State: lb.ReplicaState(listed.Previous >> 16)}
	e.ids[r.Address] = id
	e.service.Replicas = append(e.service.Replicas, r)
	return nil
}

// finish completes the last change of the process before, in the order in which that would have. It waits for
// packets first: the process may have ended a moment ago, and packets may still read what it retired.
func (d *Datapath) finish() error {
	for _, e := range d.services {
		d.writeStates(e)
		if e.tracked() {
			d.cleanPrevious(e, false)
		}
	}
	d.sweepReplicas()
	d.sweepRevNats()
	d.sweepAddresses()
	if err := d.awaitReaders(); err != nil {
		return err
	}
	d.removeStaleRecords()
	return d.foldRemoved()
}

// sweepReplicas sets the state of replicas that no service has to gone.
func (d *Datapath) sweepReplicas() {
	for id := range d.tables.replicas.rows {
		row := &d.tables.replicas.rows[id]
		if d.serviceOfReplica(uint32(id)) != nil || row.IpVersion == 0 {
			continue
		}
		d.removedReplicas = append(d.removedReplicas, uint32(id))
		if row.State != uint8(bpf.LbReplicaStateREPLICA_GONE) {
			setState(row, bpf.LbReplicaStateREPLICA_GONE)
		}
	}
}

// sweepRevNats removes the reverse NAT entries of replicas that no service has.
func (d *Datapath) sweepRevNats() {
	var stray []uint32
	for id := range d.tables.revNatAt().rows() {
		o := d.tables.revNats.rows[id]
		v, ok := d.index.Owner(o.Replica.AddrPort(), packet.Protocol(o.Replica.Protocol))
		if !ok || d.services[v].ids[o.Replica.AddrPort()] != id {
			stray = append(stray, id)
		}
	}
	for _, id := range stray {
		d.tables.revNatAt().remove(d.tables.revNats.rows[id].Replica, id)
	}
}

// sweepAddresses removes addresses that no VIP has.
func (d *Datapath) sweepAddresses() {
	for a, row := range d.addresses {
		if row.services > 0 {
			continue
		}
		d.tables.serviceAt().remove(addressKey(a), row.at)
		delete(d.addresses, a)
		d.deferFree(func() { d.ids.rows.release(row.at, 1) })
	}
}
