package datapath

import (
	"fmt"
	"net/netip"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/tables"
)

func newEntry(s lb.Service) *entry {
	s = s.Sorted()
	return &entry{service: s, ids: make(map[netip.AddrPort]uint32, len(s.Replicas)), row: serviceRow(s)}
}

// take takes n consecutive numbers. Where none are free it reclaims those that are retired. Errors:
// lb.ErrFull.
func (reg *registry) take(from *tables.Extents, n uint32, what string, v lb.VIP, limit uint32) (uint32, error) {
	at, ok := from.Alloc(n)
	if !ok {
		if err := reg.reclaim(); err != nil {
			return 0, err
		}
		at, ok = from.Alloc(n)
	}
	if !ok {
		return 0, fmt.Errorf("%w: no room for %s of %v, the limit is %d", lb.ErrFull, what, v, limit)
	}
	return at, nil
}

// number allocates a row, a range of slots, a list, and the ids of new replicas for the service. On error
// nothing is allocated.
func (reg *registry) number(s lb.Service, old *entry) (_ *entry, err error) {
	e := newEntry(s)
	var taken []func()
	defer func() {
		if err != nil {
			for _, release := range taken {
				release()
			}
		}
	}()
	take := func(from *tables.Extents, n uint32, what string, limit uint32) (uint32, error) {
		at, err := reg.take(from, n, what, s.VIP, limit)
		if err == nil {
			taken = append(taken, func() { from.Release(at, n) })
		}
		return at, err
	}
	if reg.tables.Short.Low() {
		if err := reg.reclaim(); err != nil {
			return nil, err
		}
	}
	l := reg.limits
	if e.row.Id, err = reg.serviceID(old, take); err != nil {
		return nil, err
	}
	for _, r := range s.Replicas {
		id, ok := old.replicaID(r.Address)
		if !ok {
			if id, err = take(&reg.ids.Replicas, 1, "a replica", l.Replicas); err != nil {
				return nil, err
			}
		}
		e.ids[r.Address] = id
	}
	e.row.FirstReplica = e.firstReplica()
	if e.at, err = take(&reg.ids.Rows, 1, "the row", tables.RowsFor(l)); err != nil {
		return nil, err
	}
	if e.row.List, err = take(&reg.ids.Lists, e.row.Replicas, "the list of replicas", tables.ListsFor(l)); err != nil {
		return nil, err
	}
	e.row.List += l.Slots
	if err := reg.roomForRanges(e, old); err != nil {
		return nil, err
	}
	if e.row.FirstRange, err = take(&reg.ids.Ranges, e.row.AllRanges, "the source ranges", l.SourceRanges); err != nil {
		return nil, err
	}
	e.row.Offset, err = take(&reg.ids.Slots, e.row.Size, fmt.Sprintf("%d slots in a row", e.row.Size), l.Slots)
	e.inherit(old)
	return e, err
}

func (reg *registry) serviceID(old *entry, take func(*tables.Extents, uint32, string, uint32) (uint32, error)) (uint32, error) {
	if old != nil {
		return old.row.Id, nil
	}
	id, err := take(&reg.ids.Services, 1, "the service", reg.limits.Services)
	if err != nil {
		return 0, err
	}
	reg.tables.RetiredCounts.Put(id, bpf.LbCount{})
	reg.tables.RateStates.Put(id, bpf.LbRateState{})
	return id, nil
}

// writeReplicas writes the rows and reverse NAT entries of the replicas that are new.
func (reg *registry) writeReplicas(e, old *entry) error {
	resolver := reg.hops.resolver()
	resolver.Prepare(e.added(old))
	for _, r := range e.service.Replicas {
		id := e.ids[r.Address]
		if _, ok := old.replicaID(r.Address); !ok {
			next := reg.hops.resolve(resolver, id, r.Address.Addr())
			reg.tables.Replicas.Put(id, replicaRow(e.service.VIP, e.row.Id, r, next))
			reg.tables.ShortenReplica(id)
		}
		if !e.answered(r.Address) || old.answered(r.Address) {
			continue
		}
		if err := reg.writeRevNat(id, e, r.Address); err != nil {
			return err
		}
	}
	return nil
}

// added returns the addresses of the replicas that old has not.
func (e *entry) added(old *entry) (all []netip.Addr) {
	for _, r := range e.service.Replicas {
		if _, had := old.replicaID(r.Address); !had {
			all = append(all, r.Address.Addr())
		}
	}
	return all
}

func (reg *registry) writeRevNat(id uint32, e *entry, a netip.AddrPort) error {
	row := reg.revNatRow(e, a)
	reg.tables.RevNats.Put(id, row)
	if err := reg.tables.RevNatIndex().Add(row.Replica, id); err != nil {
		return fmt.Errorf("write the reverse NAT entry of %v: %w", a, err)
	}
	return nil
}

// roomForRanges returns lb.ErrFull if the services have more source ranges than the limit with e in the place of old.
func (reg *registry) roomForRanges(e, old *entry) error {
	n := reg.ranges + e.row.AllRanges
	if old != nil {
		n -= old.row.AllRanges
	}
	if n > reg.limits.SourceRanges && e.row.AllRanges > 0 {
		return fmt.Errorf("%w: %d source ranges with those of %v, the limit is %d", lb.ErrFull, n, e.service.VIP, reg.limits.SourceRanges)
	}
	return nil
}

// writeRanges writes the source ranges of a service.
func (reg *registry) writeRanges(e *entry) {
	rows, _ := rangeRows(e.service)
	for at, row := range rows {
		reg.tables.SourceRanges.Put(e.row.FirstRange+uint32(at), row)
	}
}

// writeStates gives all replicas of a service their states.
func (reg *registry) writeStates(e *entry) {
	for _, r := range e.service.Replicas {
		reg.tables.SetState(e.ids[r.Address], replicaState(r.State))
	}
}

// claim notes that the service has its replicas' ids.
func (reg *registry) claim(e *entry) {
	for _, id := range e.ids {
		for int(id) >= len(reg.byReplica) {
			reg.byReplica = append(reg.byReplica, nil)
		}
		reg.byReplica[id] = e
	}
}

// serviceOfReplica returns the service of a replica by its id, nil if there is none.
func (reg *registry) serviceOfReplica(id uint32) *entry {
	if int(id) >= len(reg.byReplica) {
		return nil
	}
	return reg.byReplica[id]
}
