package datapath

import (
	"fmt"
	"net/netip"

	"lbctl/bpf"
	"lbctl/lb"
)

func newEntry(s lb.Service) *entry {
	return &entry{
		service: s.Clone(),
		ids:     make(map[netip.AddrPort]uint32, len(s.Replicas)),
		row: bpf.LbService{
			Vip: vipKey(s.VIP), Size: s.Slots(), Reciprocal: reciprocal(s.Slots()), BaseHash: uint8(s.Hash), BaseSeed: s.Seed, TableSize: s.TableSize, Replicas: uint32(len(s.Replicas)),
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
		at, err := d.take(from, n)
		if err != nil {
			return 0, fmt.Errorf("%w: no room for %s of %v, the limit is %d", err, what, s.VIP, limit)
		}
		taken = append(taken, func() { from.release(at, n) })
		return at, nil
	}
	l := d.options.Limits
	if e.row.Id, err = d.serviceID(old, take); err != nil {
		return nil, err
	}
	for _, r := range s.Replicas {
		id, ok := old.heir(s.Mode).replicaID(r.Address)
		if !ok {
			if id, err = take(&d.ids.replicas, 1, "a replica", l.Replicas); err != nil {
				return nil, err
			}
		}
		e.ids[r.Address] = id
	}
	if e.at, err = take(&d.ids.rows, 1, "the row", rowsFor(l)); err != nil {
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

// take allocates n numbers in a row, of those that rest if no others are left. Errors: lb.ErrFull.
func (d *Datapath) take(from *extents, n uint32) (uint32, error) {
	at, ok := from.alloc(n)
	if !ok {
		if err := d.settle(); err != nil {
			return 0, err
		}
		at, ok = from.alloc(n)
	}
	if !ok {
		return 0, lb.ErrFull
	}
	return at, nil
}

// reciprocal is what `remainder` of bpf/src/hash.h multiplies with: 2^32 / size, rounded down.
func reciprocal(size uint32) uint32 {
	if size == 0 {
		return 0
	}
	return uint32(min(1<<32/uint64(size), 1<<32-1))
}
