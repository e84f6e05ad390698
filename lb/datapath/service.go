package datapath

import (
	"context"
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

// SetService adds a service or replaces the one with its VIP. It writes nothing if the same service is there
// already.
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
	if old != nil && old.service.SameAs(s) {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := d.index.Conflict(s); err != nil {
		return err
	}
	if err := d.forget(s, old); err != nil {
		return err
	}
	e, err := d.prepare(s, old)
	if err != nil {
		return err
	}
	return d.install(e, old)
}

// forget removes the records of a service that tracked flows, does not now, and is about to again.
func (d *Datapath) forget(s lb.Service, old *entry) error {
	if !d.staleRecords || old == nil || old.tracked() || s.Tracking == lb.Stateless {
		return nil
	}
	return d.reclaim()
}

// prepare allocates the numbers of a service and writes everything to which the index will point. On error the
// numbers are free again.
func (d *Datapath) prepare(s lb.Service, old *entry) (*entry, error) {
	e, err := d.number(s, old)
	if err != nil {
		return nil, err
	}
	if err := d.writeReplicas(e, old); err != nil {
		d.retire(e, old)
		return nil, err
	}
	d.writeSlots(e, old)
	d.tables.services.rows[e.at] = e.row
	return e, nil
}

// install makes the index point at the new service and retires what only the old one had.
func (d *Datapath) install(e, old *entry) error {
	if err := d.point(e, old); err != nil {
		d.retire(e, nil)
		return err
	}
	d.services[e.service.VIP] = e
	if old != nil {
		d.index.Remove(old.service)
	}
	d.index.Add(e.service)
	d.claim(e)
	if old == nil {
		return nil
	}
	d.writeStates(e)
	d.retire(old, e)
	if e.rehashed() {
		d.cleanPrevious(e, true)
	}
	return nil
}

// point makes the index point at e. It can fail only if the service is new and there is no room.
func (d *Datapath) point(e, old *entry) error {
	if old != nil {
		d.tables.serviceAt().replace(e.row.Vip, old.at, e.at)
		return nil
	}
	if err := d.addAddress(e.service.VIP); err != nil {
		return err
	}
	if err := d.tables.serviceAt().add(e.row.Vip, e.at); err != nil {
		d.removeAddress(e.service.VIP.Address.Addr())
		return err
	}
	return nil
}

// RemoveService removes a service.
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
	d.removeAddress(v.Address.Addr())
	delete(d.services, v)
	d.index.Remove(old.service)
	d.retire(old, nil)
	return nil
}
