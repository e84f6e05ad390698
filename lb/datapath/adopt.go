package datapath

import (
	"fmt"
	"net/netip"

	"lbctl/bpf"
	"lbctl/lb"
)

// adopt reads back what an earlier process left in the tables. Nothing is written
// but what that process left half done: ways back from replicas of no service.
func (d *Datapath) adopt() error {
	l := d.options.Limits
	d.ids.services, d.ids.rows = newExtents(l.Services), newExtents(rowsFor(l))
	d.ids.replicas, d.ids.lists = newExtents(l.Replicas), newExtents(2*l.Replicas)
	d.ids.slots = newExtents(l.Slots)
	if err := d.loadLinks(); err != nil {
		return err
	}
	for at := range d.tables.serviceAt().rows() {
		if err := d.adoptService(at); err != nil {
			return fmt.Errorf("%w: pinned tables in %s: row %d: %v", lb.ErrConflict, d.options.Dir, at, err)
		}
	}
	if len(d.services) > 0 {
		d.options.Logger.Info("took over pinned tables", "services", len(d.services), "interfaces", len(d.links))
	}
	if err := d.sweepAddresses(); err != nil {
		return err
	}
	return d.sweepOrigins()
}

func (d *Datapath) adoptService(at uint32) error {
	if err := d.ids.rows.take(at, 1); err != nil {
		return fmt.Errorf("row: %w", err)
	}
	row := d.tables.services.rows[at]
	if isAddress(row.Vip) {
		d.addresses[row.Vip.AddrPort().Addr()] = &addressRow{at: at}
		return nil
	}
	v := vipOf(row.Vip)
	e := &entry{row: row, at: at, ids: map[netip.AddrPort]uint32{}, service: lb.Service{
		VIP: v, Scheduler: lb.Scheduler(row.Scheduler), Mode: lb.Mode(row.Mode), Hash: lb.Hash(row.Hash),
		Seed: row.Seed, TableSize: row.TableSize,
	}}
	if err := d.ids.services.take(row.Id, 1); err != nil {
		return fmt.Errorf("service id: %w", err)
	}
	if err := d.ids.slots.take(row.Offset, row.Size); err != nil {
		return fmt.Errorf("slots: %w", err)
	}
	if err := d.ids.lists.take(row.List-d.options.Limits.Slots, row.Replicas); err != nil {
		return fmt.Errorf("list of replicas: %w", err)
	}
	for _, listed := range d.tables.slots.rows[row.List:][:row.Replicas] {
		if err := d.adoptReplica(e, listed.Current, uint16(listed.Base)); err != nil {
			return err
		}
	}
	d.services[v] = e
	d.census.count(e.service, +1)
	return nil
}

func (d *Datapath) adoptReplica(e *entry, id uint32, weight uint16) error {
	if err := d.ids.replicas.take(id, 1); err != nil {
		return fmt.Errorf("replica id: %w", err)
	}
	r := d.tables.replicas.rows[id]
	a := bpf.AddrPort(r.Address, r.Port)
	e.ids[a] = id
	e.service.Replicas = append(e.service.Replicas, lb.Replica{Address: a, Weight: weight})
	if e.service.Mode == lb.NAT {
		d.owners[replicaKey(e.service.VIP, a)] = e.service.VIP
	}
	return nil
}

// sweepOrigins removes ways back from replicas that no service has.
func (d *Datapath) sweepOrigins() error {
	var stray []uint32
	for id := range d.tables.originAt().rows() {
		o := d.tables.origins.rows[id]
		v, ok := d.owners[o.Replica]
		if !ok || d.services[v].ids[o.Replica.AddrPort()] != id {
			stray = append(stray, id)
		}
	}
	for _, id := range stray {
		d.tables.originAt().remove(d.tables.origins.rows[id].Replica, id)
	}
	// The process before may have ended a moment ago: what it retired is free now, but seen.
	return grace()
}
