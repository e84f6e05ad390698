package datapath

import (
	"fmt"
	"net/netip"

	"lbctl/bpf"
	"lbctl/lb"
)

func newEntry(s lb.Service) *entry {
	return &entry{service: s.Clone(), ids: make(map[netip.AddrPort]uint32, len(s.Replicas)), row: serviceRow(s)}
}

// take takes n consecutive numbers. Where none are free it reclaims those that are retired. Errors:
// lb.ErrFull.
func (d *Datapath) take(from *extents, n uint32, what string, v lb.VIP, limit uint32) (uint32, error) {
	at, ok := from.alloc(n)
	if !ok {
		if err := d.reclaim(); err != nil {
			return 0, err
		}
		at, ok = from.alloc(n)
	}
	if !ok {
		return 0, fmt.Errorf("%w: no room for %s of %v, the limit is %d", lb.ErrFull, what, v, limit)
	}
	return at, nil
}

// number allocates a row, a range of slots, a list, and the ids of new replicas for the service. On error
// nothing is allocated.
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
		at, err := d.take(from, n, what, s.VIP, limit)
		if err == nil {
			taken = append(taken, func() { from.release(at, n) })
		}
		return at, err
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
	if e.at, err = take(&d.ids.rows, 1, "the row", rowsFor(l)); err != nil {
		return nil, err
	}
	if e.row.List, err = take(&d.ids.lists, e.row.Replicas, "the list of replicas", 2*l.Replicas); err != nil {
		return nil, err
	}
	e.row.List += l.Slots
	e.row.Offset, err = take(&d.ids.slots, e.row.Size, fmt.Sprintf("%d slots in a row", e.row.Size), l.Slots)
	e.inherit(old)
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
	d.tables.retiredCounts.rows[id] = bpf.LbCount{}
	return id, nil
}
