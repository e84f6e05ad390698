package datapath

import (
	"fmt"
	"net/netip"

	"lbctl/bpf"
	"lbctl/lb"

	"github.com/cilium/ebpf"
)

// Counters returns what was counted on all CPUs. The counters are read one after
// the other while packets pass: sums agree exactly only when none does.
func (d *Datapath) Counters() (lb.Counters, error) {
	unlock, err := d.lock()
	if err != nil {
		return lb.Counters{}, err
	}
	defer unlock()
	c := lb.Counters{
		Reasons:  make(map[lb.Reason]lb.Count, len(d.reasons)),
		Services: make(map[lb.VIP]lb.Count, len(d.services)),
		Replicas: make(map[lb.VIP]map[netip.AddrPort]lb.Count, len(d.services)),
	}
	for i, name := range d.reasons {
		if c.Reasons[lb.Reason(name)], err = read(d.objects.ByReason, uint32(i)); err != nil {
			return lb.Counters{}, err
		}
	}
	for v, e := range d.services {
		if err := d.countService(&c, v, e); err != nil {
			return lb.Counters{}, err
		}
	}
	return c, nil
}

func (d *Datapath) countService(c *lb.Counters, v lb.VIP, e *entry) (err error) {
	if c.Services[v], err = read(d.objects.ByService, e.row.Id); err != nil {
		return err
	}
	byReplica := make(map[netip.AddrPort]lb.Count, len(e.ids))
	for a, id := range e.ids {
		if byReplica[a], err = read(d.objects.ByReplica, id); err != nil {
			return err
		}
	}
	c.Replicas[v] = byReplica
	return nil
}

// read sums a row over CPUs.
func read(m *ebpf.Map, index uint32) (sum lb.Count, err error) {
	var perCPU []bpf.LbCount
	if err := m.Lookup(index, &perCPU); err != nil {
		return sum, fmt.Errorf("read counter %d of %v: %w", index, m, err)
	}
	for _, c := range perCPU {
		sum.Packets += c.Packets
		sum.Bytes += c.Bytes
	}
	return sum, nil
}

// zero clears a row whose number is about to be handed out again.
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
