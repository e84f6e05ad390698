package datapath

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/ring"
)

// Services returns what the tables hold, sorted by VIP.
func (d *Datapath) Services() ([]lb.Service, error) {
	unlock, err := d.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	all := make([]lb.Service, 0, len(d.services))
	for _, e := range d.services {
		all = append(all, e.service.Clone())
	}
	slices.SortFunc(all, func(a, b lb.Service) int { return a.VIP.Compare(b.VIP) })
	return all, nil
}

// SetService adds a service or replaces the one with its VIP. When it returns, no
// packet sees the old table any more. A service that is there already writes nothing.
func (d *Datapath) SetService(ctx context.Context, s lb.Service) error {
	if err := s.Validate(); err != nil {
		return err
	}
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	old := d.services[s.VIP]
	if old != nil && same(old.service, s) {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.admit(s, old); err != nil {
		return err
	}
	e, err := d.prepare(s, old)
	if err != nil {
		return err
	}
	return d.install(e, old)
}

// prepare gives a service its numbers and writes everything that the index will
// point at. On error the numbers are free again.
func (d *Datapath) prepare(s lb.Service, old *entry) (*entry, error) {
	e, err := d.number(s, old)
	if err != nil {
		return nil, err
	}
	if err := d.writeReplicas(e, old); err != nil {
		return nil, errors.Join(err, d.retire(e, old))
	}
	d.writeSlots(e)
	d.tables.services.rows[e.at] = e.row
	return e, nil
}

func newEntry(s lb.Service) *entry {
	return &entry{
		service: s.Clone(),
		ids:     make(map[netip.AddrPort]uint32, len(s.Replicas)),
		row: bpf.LbService{
			Vip: vipKey(s.VIP), Size: s.Slots(), TableSize: s.TableSize, Replicas: uint32(len(s.Replicas)),
			Seed: s.Seed, Scheduler: uint8(s.Scheduler), Mode: uint8(s.Mode), Hash: uint8(s.Hash),
		},
	}
}

// number allocates the service's row and range, and ids for what is new. On error nothing is allocated.
func (d *Datapath) number(s lb.Service, old *entry) (_ *entry, err error) {
	e := newEntry(s)
	var taken []func()
	defer func() {
		if err != nil {
			for _, release := range taken {
				release()
			}
		}
	}()
	take := func(from *extents, n uint32, what string, limit uint32) (uint32, error) {
		at, ok := from.alloc(n)
		if !ok {
			return 0, fmt.Errorf("%w: no room for %s of %v, the limit is %d", lb.ErrFull, what, s.VIP, limit)
		}
		taken = append(taken, func() { from.release(at, n) })
		return at, nil
	}
	l := d.options.Limits
	if e.row.Id, err = d.serviceID(old, take); err != nil {
		return nil, err
	}
	for _, r := range s.Replicas {
		id, ok := old.replicaID(r.Address)
		if !ok {
			if id, err = take(&d.ids.replicas, 1, "a replica", l.Replicas); err != nil {
				return nil, err
			}
		}
		e.ids[r.Address] = id
	}
	if e.at, err = take(&d.ids.rows, 1, "the row", 2*l.Services); err != nil {
		return nil, err
	}
	if e.row.List, err = take(&d.ids.lists, e.row.Replicas, "the list of replicas", 2*l.Replicas); err != nil {
		return nil, err
	}
	e.row.List += l.Slots
	e.row.Offset, err = take(&d.ids.slots, e.row.Size, fmt.Sprintf("%d slots in a row", e.row.Size), l.Slots)
	return e, err
}

func (d *Datapath) serviceID(old *entry, take func(*extents, uint32, string, uint32) (uint32, error)) (uint32, error) {
	if old != nil {
		return old.row.Id, nil
	}
	id, err := take(&d.ids.services, 1, "the service", d.options.Limits.Services)
	if err != nil {
		return 0, err
	}
	return id, zero(d.objects.ByService, id)
}

// writeReplicas writes the replicas that are new, and the way back from them.
func (d *Datapath) writeReplicas(e, old *entry) error {
	for _, r := range e.service.Replicas {
		if _, ok := old.replicaID(r.Address); ok {
			continue
		}
		id := e.ids[r.Address]
		if err := zero(d.objects.ByReplica, id); err != nil {
			return err
		}
		d.tables.replicas.rows[id], d.via[id] = d.replicaRow(e.service.VIP, r.Address)
		if err := d.writeOrigin(id, e.service.VIP, r.Address); err != nil {
			return err
		}
	}
	return nil
}

func (d *Datapath) replicaRow(v lb.VIP, a netip.AddrPort) (bpf.LbReplica, neighbour) {
	l3, l4 := bpf.Deltas(v.Address, a)
	row := bpf.LbReplica{Address: bpf.Address(a.Addr()), Port: bpf.Port(a.Port()), L3Delta: l3, L4Delta: l4}
	hop, via := d.hops.resolve(a.Addr())
	row.Hops[0] = hop
	return row, via
}

func (d *Datapath) writeOrigin(id uint32, v lb.VIP, a netip.AddrPort) error {
	l3, l4 := bpf.Deltas(a, v.Address)
	k := replicaKey(v, a)
	d.tables.origins.rows[id] = bpf.LbOrigin{
		Replica: k, L3Delta: l3, L4Delta: l4,
		Address: bpf.Address(v.Address.Addr()), Port: bpf.Port(v.Address.Port()),
	}
	if err := d.tables.originAt().add(k, id); err != nil {
		return fmt.Errorf("write the way back from %v: %w", a, err)
	}
	d.owners[k] = v
	return nil
}

// writeSlots fills the table and the list of replicas.
func (d *Datapath) writeSlots(e *entry) {
	list, rows := d.tables.slots.rows[e.row.List:], d.tables.slots.rows[e.row.Offset:]
	ids := make([]uint32, len(e.service.Replicas))
	for i, r := range e.service.Replicas {
		ids[i] = e.ids[r.Address]
		list[i] = bpf.LbSlot{Current: ids[i], Base: uint32(r.Weight)}
	}
	for i, replica := range ring.Build(e.service) {
		rows[i] = bpf.LbSlot{Current: ids[replica], Base: ids[replica]}
	}
}

// install makes the switch and, a grace period later, frees what the old table had alone.
func (d *Datapath) install(e, old *entry) error {
	if old == nil {
		if err := d.tables.serviceAt().add(e.row.Vip, e.at); err != nil {
			return errors.Join(err, d.retire(e, nil))
		}
	} else {
		d.tables.serviceAt().replace(e.row.Vip, old.at, e.at)
	}
	d.services[e.service.VIP] = e
	d.census.count(e.service, +1)
	if old == nil {
		return nil
	}
	d.census.count(old.service, -1)
	return d.retire(old, e)
}

// RemoveService removes a service. When it returns, no packet is sent to its replicas any more.
func (d *Datapath) RemoveService(ctx context.Context, v lb.VIP) error {
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	defer unlock()
	old := d.services[v]
	if old == nil {
		return fmt.Errorf("%w: service %v", lb.ErrNotFound, v)
	}
	d.tables.serviceAt().remove(old.row.Vip, old.at)
	delete(d.services, v)
	d.census.count(old.service, -1)
	return d.retire(old, nil)
}

// retire frees what e has and keep (nil: none) has not, after a grace period. Nothing points at e any more, or yet.
func (d *Datapath) retire(e, keep *entry) error {
	for a, id := range e.ids {
		if _, ok := keep.replicaID(a); !ok {
			k := replicaKey(e.service.VIP, a)
			d.tables.originAt().remove(k, id)
			delete(d.owners, k)
		}
	}
	if err := grace(); err != nil {
		return err // what may still be seen is not reused: it stays taken until the next start
	}
	for a, id := range e.ids {
		if _, ok := keep.replicaID(a); !ok {
			d.ids.replicas.release(id, 1)
			delete(d.via, id)
		}
	}
	if keep == nil {
		d.ids.services.release(e.row.Id, 1)
	}
	d.ids.rows.release(e.at, 1)
	d.ids.lists.release(e.row.List-d.options.Limits.Slots, e.row.Replicas)
	d.ids.slots.release(e.row.Offset, e.row.Size)
	return nil
}
