package datapath

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/tables"
)

// registry is the services as they stand in the tables: their rows, slots, replicas and reverse NAT entries, and
// the numbers that these have. A change prepares everything, makes the switch by one store, and retires what was replaced.
type registry struct {
	limits   lb.Limits
	tables   *tables.Tables
	ids      tables.Numbers // those that are free
	grace    tables.Grace
	hops     *hops
	counters *counters

	services  map[lb.VIP]*entry
	index     *lb.Index
	byReplica []*entry // the service of each replica, by id; nil: none
	addresses map[netip.Addr]*tables.Address
	ranges    uint32 // source ranges of all services
	// staleRecords: there may be records of replicas that no service has.
	staleRecords bool
}

func newRegistry(l lb.Limits, h *hops, c *counters) *registry {
	reg := &registry{
		limits: l, tables: h.tables, ids: tables.NewNumbers(l), grace: tables.Grace{Steps: &h.tables.Steps}, hops: h, counters: c,
		services: map[lb.VIP]*entry{}, index: lb.NewIndex(), addresses: map[netip.Addr]*tables.Address{},
	}
	reg.tables.DeferWith(&reg.grace)
	return reg
}

// copies returns copies of the services, sorted by VIP.
func (reg *registry) copies() []lb.Service {
	all := make([]lb.Service, 0, len(reg.services))
	for _, e := range reg.services {
		all = append(all, e.service.Clone())
	}
	slices.SortFunc(all, func(a, b lb.Service) int { return a.VIP.Compare(b.VIP) })
	return all
}

// set adds a service or replaces the one with its VIP. It writes nothing if the same service is there already.
func (reg *registry) set(ctx context.Context, s lb.Service) error {
	old := reg.services[s.VIP]
	if old != nil && old.service.SameAs(s) {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := reg.index.Conflict(s); err != nil {
		return err
	}
	if err := reg.forget(s, old); err != nil {
		return err
	}
	if old != nil {
		reg.index.Remove(old.service)
	}
	reg.know(s)
	e, err := reg.prepare(s, old)
	if err == nil {
		err = reg.install(e, old)
	}
	if now := reg.services[s.VIP]; err != nil && now == old { // nothing has changed
		reg.index.Remove(s)
		if old != nil {
			reg.index.Add(old.service)
		}
		reg.flagShared(s.Replicas, s.VIP.Protocol)
	}
	return err
}

// remove removes a service. Errors: lb.ErrNotFound.
func (reg *registry) remove(v lb.VIP) error {
	old := reg.services[v]
	if old == nil {
		return fmt.Errorf("%w: service %v", lb.ErrNotFound, v)
	}
	reg.tables.ServiceIndex().Remove(old.row.Vip, old.at)
	reg.swapRange(v, old.service.EndPort, 0)
	reg.removeAddress(v.Address.Addr())
	delete(reg.services, v)
	reg.ranges -= old.row.AllRanges
	reg.index.Remove(old.service)
	reg.retire(old, nil)
	reg.flagShared(old.service.Replicas, v.Protocol)
	return nil
}

// forget removes the records of a service that tracked flows, does not now, and is about to again.
func (reg *registry) forget(s lb.Service, old *entry) error {
	if !reg.staleRecords || old == nil || old.tracked() || s.Tracking == lb.Stateless {
		return nil
	}
	return reg.reclaim()
}

// prepare allocates the numbers of a service and writes everything to which the index will point. On error the
// numbers are free again.
func (reg *registry) prepare(s lb.Service, old *entry) (*entry, error) {
	e, err := reg.number(s, old)
	if err != nil {
		return nil, err
	}
	if err := reg.writeReplicas(e, old); err != nil {
		reg.retire(e, old)
		return nil, err
	}
	reg.writeSlots(e, old)
	reg.writeRanges(e)
	reg.tables.Services.Put(e.at, e.row)
	return e, nil
}

// install makes the index point at the new service and retires what only the old one had.
func (reg *registry) install(e, old *entry) error {
	reg.flagEntry(e)
	if err := reg.point(e, old); err != nil {
		reg.retire(e, nil)
		return err
	}
	reg.services[e.service.VIP] = e
	reg.ranges += e.row.AllRanges
	reg.claim(e)
	if old == nil {
		return nil
	}
	reg.ranges -= old.row.AllRanges
	reg.writeStates(e)
	if e.service.RateLimit != old.service.RateLimit {
		reg.tables.RateStates.Put(e.row.Id, bpf.LbRateState{})
	}
	reg.retire(old, e)
	if e.rehashed() {
		reg.cleanPrevious(e, true)
	}
	reg.flagShared(old.service.Replicas, e.service.VIP.Protocol)
	return reg.forgetShared(e, old)
}

// point makes the index point at e. It can fail only if the service is new and there is no room.
func (reg *registry) point(e, old *entry) error {
	v, end := e.service.VIP, e.service.EndPort
	if old != nil {
		widest := max(old.service.EndPort, end)
		reg.swapRange(v, old.service.EndPort, widest)
		reg.tables.ServiceIndex().Replace(e.row.Vip, old.at, e.at)
		reg.swapRange(v, widest, end)
		return nil
	}
	if err := reg.addAddress(v); err != nil {
		return err
	}
	reg.swapRange(v, 0, end)
	if err := reg.tables.ServiceIndex().Add(e.row.Vip, e.at); err != nil {
		reg.swapRange(v, end, 0)
		reg.removeAddress(e.service.VIP.Address.Addr())
		return err
	}
	return nil
}
