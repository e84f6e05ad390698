package datapath

import (
	"fmt"
	"net/netip"
	"slices"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/tables"

	"github.com/cilium/ebpf"
)

// counters are the counters of packets. Each packet is counted in one place: a forwarded one with its replica, any
// other by its reason.
type counters struct {
	program *program
	tables  *tables.Tables
	removed []uint32 // ids of removed replicas whose counters have not been added to RetiredCounts
}

// retire takes over the counter of a removed replica, which its id keeps until foldRemoved.
func (c *counters) retire(replica uint32) { c.removed = append(c.removed, replica) }

// all adds up what was counted on all CPUs.
func (c *counters) all(services map[lb.VIP]*entry) (_ lb.Counters, err error) {
	s := sums{
		Counters: lb.Counters{
			Reasons:  make(map[lb.Reason]lb.Count, len(c.program.reasons)),
			Services: make(map[lb.VIP]lb.Count, len(services)),
			Replicas: make(map[lb.VIP]map[netip.AddrPort]lb.Count, len(services)),
		},
		retired: map[uint32]lb.Count{},
	}
	for i, name := range c.program.reasons {
		if s.Reasons[lb.Reason(name)], err = read(c.program.objects.ByReason, uint32(i)); err != nil {
			return lb.Counters{}, err
		}
	}
	if err := c.countRemoved(&s); err != nil {
		return lb.Counters{}, err
	}
	for v, e := range services {
		if err := c.countService(&s, v, e); err != nil {
			return lb.Counters{}, err
		}
	}
	return s.Counters, nil
}

// sums are counters that are being added up.
type sums struct {
	lb.Counters
	// retired counts the packets of removed replicas, by the id of their service.
	retired map[uint32]lb.Count
}

func (s *sums) forwarded(n lb.Count) {
	s.Reasons[lb.Forwarded] = plus(s.Reasons[lb.Forwarded], n)
}

func (c *counters) countRemoved(s *sums) error {
	for _, id := range c.removed {
		n, err := read(c.program.objects.ByReplica, id)
		if err != nil {
			return err
		}
		service := c.tables.Replicas.Rows[id].Service
		s.retired[service] = plus(s.retired[service], n)
		s.forwarded(n)
	}
	return nil
}

func (c *counters) countService(s *sums, v lb.VIP, e *entry) error {
	past := c.tables.RetiredCounts.Rows[e.row.Id]
	all := plus(s.retired[e.row.Id], lb.Count{Packets: past.Packets, Bytes: past.Bytes})
	byReplica := make(map[netip.AddrPort]lb.Count, len(e.ids))
	for a, id := range e.ids {
		n, err := read(c.program.objects.ByReplica, id)
		if err != nil {
			return err
		}
		byReplica[a], all = n, plus(all, n)
		s.forwarded(n)
	}
	s.Services[v], s.Replicas[v] = all, byReplica
	return nil
}

// foldRemoved adds the counts of removed replicas to the retired counts of their services and to the reason, and
// clears them. No packet may still go to them. A process killed in between counts one replica twice.
func (c *counters) foldRemoved() error {
	for _, id := range c.removed {
		n, err := read(c.program.objects.ByReplica, id)
		if err != nil {
			return err
		}
		if n == (lb.Count{}) {
			continue
		}
		past := &c.tables.RetiredCounts.Rows[c.tables.Replicas.Rows[id].Service]
		past.Packets, past.Bytes = past.Packets+n.Packets, past.Bytes+n.Bytes
		if err := c.addForwarded(n); err != nil {
			return err
		}
		if err := zero(c.program.objects.ByReplica, id); err != nil {
			return err
		}
	}
	c.removed = nil
	return nil
}

// addForwarded adds to the row of the reason forwarded. No packet writes to that row.
func (c *counters) addForwarded(n lb.Count) error {
	at := uint32(slices.Index(c.program.reasons, string(lb.Forwarded)))
	var perCPU []bpf.LbCount
	if err := c.program.objects.ByReason.Lookup(at, &perCPU); err != nil {
		return fmt.Errorf("read the counter of forwarded packets: %w", err)
	}
	perCPU[0].Packets += n.Packets
	perCPU[0].Bytes += n.Bytes
	if err := c.program.objects.ByReason.Put(at, perCPU); err != nil {
		return fmt.Errorf("write the counter of forwarded packets: %w", err)
	}
	return nil
}

func plus(a, b lb.Count) lb.Count {
	return lb.Count{Packets: a.Packets + b.Packets, Bytes: a.Bytes + b.Bytes}
}

// read sums a row over CPUs.
func read(m *ebpf.Map, index uint32) (sum lb.Count, err error) {
	var perCPU []bpf.LbCount
	if err := m.Lookup(index, &perCPU); err != nil {
		return sum, fmt.Errorf("read counter %d of %v: %w", index, m, err)
	}
	for _, c := range perCPU {
		sum = plus(sum, lb.Count{Packets: c.Packets, Bytes: c.Bytes})
	}
	return sum, nil
}

// zero clears a row.
func zero(m *ebpf.Map, index uint32) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count CPUs: %w", err)
	}
	if err := m.Put(index, make([]bpf.LbCount, cpus)); err != nil {
		return fmt.Errorf("clear counter %d of %v: %w", index, m, err)
	}
	return nil
}

// flows counts the records and the slots with old flows of all services.
func (reg *registry) flows() map[lb.VIP]lb.Flows {
	byID := make([]lb.ReplicaFlows, len(reg.byReplica))
	reg.tables.Records(func(p tables.Record, r bpf.Record) {
		switch {
		case !reg.serviceOfReplica(r.Replica()).tracked() || r.HasEnded() && r.Age() >= lb.EndedSteps:
		case p.Stage == lb.HalfOpen:
			byID[r.Replica()].HalfOpen++
		default:
			byID[r.Replica()].Established++
		}
	})
	all := make(map[lb.VIP]lb.Flows, len(reg.services))
	for v, e := range reg.services {
		reg.countOldFlows(e, byID)
		f := lb.Flows{InTransition: e.slotsInTransition(), Replicas: make(map[netip.AddrPort]lb.ReplicaFlows, len(e.ids))}
		for a, id := range e.ids {
			f.Replicas[a] = byID[id]
		}
		all[v] = f
	}
	return all
}

// slotsInTransition is the number of slots whose flows may be elsewhere than with the owner.
func (e *entry) slotsInTransition() uint32 {
	if e.rehashed() {
		return e.row.Size
	}
	return e.inTransition
}

// countOldFlows counts, for each replica, the slots in which flows from before still go to it.
func (reg *registry) countOldFlows(e *entry, byID []lb.ReplicaFlows) {
	if !e.rehashed() && e.inTransition == 0 {
		return
	}
	for at := e.previousSlots().From; at < e.previousSlots().To; at++ {
		if s := reg.tables.Slot(at); (e.rehashed() || s.InTransition()) && !previousUnused(s) {
			byID[s.Previous()].OldFlowSlots++
		}
	}
}
