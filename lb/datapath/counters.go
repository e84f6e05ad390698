package datapath

import (
	"fmt"
	"net/netip"
	"slices"

	"lbctl/bpf"
	"lbctl/lb"

	"github.com/cilium/ebpf"
)

// Counters returns the counters, summed over CPUs. They are read one after the other while packets pass, so
// sums agree exactly only when no packet passes.
//
// A packet is counted once: a forwarded one by its replica, any other by its reason.
func (d *Datapath) Counters() (lb.Counters, error) {
	unlock, err := d.lock()
	if err != nil {
		return lb.Counters{}, err
	}
	defer unlock()
	s := sums{
		Counters: lb.Counters{
			Reasons:  make(map[lb.Reason]lb.Count, len(d.reasons)),
			Services: make(map[lb.VIP]lb.Count, len(d.services)),
			Replicas: make(map[lb.VIP]map[netip.AddrPort]lb.Count, len(d.services)),
		},
		retired: map[uint32]lb.Count{},
	}
	for i, name := range d.reasons {
		if s.Reasons[lb.Reason(name)], err = read(d.objects.ByReason, uint32(i)); err != nil {
			return lb.Counters{}, err
		}
	}
	if err := d.countRemoved(&s); err != nil {
		return lb.Counters{}, err
	}
	for v, e := range d.services {
		if err := d.countService(&s, v, e); err != nil {
			return lb.Counters{}, err
		}
	}
	return s.Counters, nil
}

// sums are counters that are being added up.
type sums struct {
	lb.Counters
	// retired is what removed replicas have got, by the id of their service.
	retired map[uint32]lb.Count
}

func (s *sums) forwarded(n lb.Count) {
	s.Reasons[lb.Forwarded] = plus(s.Reasons[lb.Forwarded], n)
}

func (d *Datapath) countRemoved(s *sums) error {
	for _, id := range d.removedReplicas {
		n, err := read(d.objects.ByReplica, id)
		if err != nil {
			return err
		}
		service := d.tables.replicas.rows[id].Service
		s.retired[service] = plus(s.retired[service], n)
		s.forwarded(n)
	}
	return nil
}

func (d *Datapath) countService(s *sums, v lb.VIP, e *entry) error {
	past := d.tables.retiredCounts.rows[e.row.Id]
	all := plus(s.retired[e.row.Id], lb.Count{Packets: past.Packets, Bytes: past.Bytes})
	byReplica := make(map[netip.AddrPort]lb.Count, len(e.ids))
	for a, id := range e.ids {
		n, err := read(d.objects.ByReplica, id)
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
func (d *Datapath) foldRemoved() error {
	for _, id := range d.removedReplicas {
		n, err := read(d.objects.ByReplica, id)
		if err != nil {
			return err
		}
		if n == (lb.Count{}) {
			continue
		}
		past := &d.tables.retiredCounts.rows[d.tables.replicas.rows[id].Service]
		past.Packets, past.Bytes = past.Packets+n.Packets, past.Bytes+n.Bytes
		if err := d.addForwarded(n); err != nil {
			return err
		}
		if err := zero(d.objects.ByReplica, id); err != nil {
			return err
		}
	}
	d.removedReplicas = nil
	return nil
}

// addForwarded adds to the row of the reason forwarded. No packet writes to that row.
func (d *Datapath) addForwarded(n lb.Count) error {
	at := uint32(slices.Index(d.reasons, string(lb.Forwarded)))
	var perCPU []bpf.LbCount
	if err := d.objects.ByReason.Lookup(at, &perCPU); err != nil {
		return fmt.Errorf("read the counter of forwarded packets: %w", err)
	}
	perCPU[0].Packets += n.Packets
	perCPU[0].Bytes += n.Bytes
	if err := d.objects.ByReason.Put(at, perCPU); err != nil {
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
