package datapath

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"lbctl/lb"
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
