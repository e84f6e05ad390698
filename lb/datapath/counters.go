package datapath

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/losses"
	"lbctl/lb/nexthop"
	"lbctl/lb/tables"

	"github.com/cilium/ebpf"
)

// counters are the counters of packets. Each packet is counted in one place: a forwarded one with its replica, any
// other by its reason.
type counters struct {
	program *program
	tables  *tables.Tables
	removed []uint32 // ids of removed replicas whose counters have not been added to RetiredCounts
	losses  *losses.Counter
	unknown error // why there is none
}

// countLosses begins to count what is lost after the verdict. Forwarding goes on without.
func (c *counters) countLosses(in *nexthop.Network) {
	inode, err := in.Inode()
	if err == nil {
		c.losses, err = losses.Open(inode)
	}
	if c.unknown = err; err != nil {
		c.program.options.Logger.Warn("packets lost after the verdict are not counted", "error", err)
	}
}

func (c *counters) close() error {
	if c.losses == nil {
		return nil
	}
	return c.losses.Close()
}

// addLosses adds what was lost after the verdict.
func (c *counters) addLosses(to *lb.Counters, l *links) error {
	if c.unknown != nil {
		to.LossesUnknown = c.unknown.Error()
	}
	if c.losses == nil {
		return nil
	}
	attached, err := l.interfaces()
	if err != nil {
		return err
	}
	return l.hops.network.Inside(func() (err error) {
		to.Losses, err = c.losses.Read(attached)
		return err
	})
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
			Flows:    make(map[lb.VIP]map[netip.AddrPort]lb.FlowCount, len(services)),
		},
		retired: map[uint32]lb.Count{},
	}
	if err := c.addReasons(s.Reasons); err != nil {
		return lb.Counters{}, err
	}
	end := c.endOfRows(services)
	if s.rows, err = readFirst(c.program.objects.ByReplica, end, sum); err != nil {
		return lb.Counters{}, err
	}
	if s.flows, err = readFirst(c.program.objects.FlowCounts, end, sumFlows); err != nil {
		return lb.Counters{}, err
	}
	c.countRemoved(&s)
	for v, e := range services {
		c.countService(&s, v, e)
	}
	s.Reasons[lb.Forwarded] = plus(s.Reasons[lb.Forwarded], s.forwarded)
	return s.Counters, nil
}

// addReasons reads the packets of each reason that are not counted with replicas.
func (c *counters) addReasons(to map[lb.Reason]lb.Count) (err error) {
	for i, name := range c.program.reasons {
		if to[lb.Reason(name)], err = read(c.program.objects.ByReason, uint32(i)); err != nil {
			return err
		}
	}
	return nil
}

// reasons adds up what is counted by reason alone: of replicas the sum.
func (c *counters) reasons(services map[lb.VIP]*entry) (lb.Counters, error) {
	out := lb.Counters{Reasons: make(map[lb.Reason]lb.Count, len(c.program.reasons))}
	if err := c.addReasons(out.Reasons); err != nil {
		return lb.Counters{}, err
	}
	rows, err := readFirst(c.program.objects.ByReplica, c.endOfRows(services), sum)
	if err != nil {
		return lb.Counters{}, err
	}
	forwarded := out.Reasons[lb.Forwarded]
	for _, id := range c.removed {
		forwarded = plus(forwarded, rows[id])
	}
	for _, e := range services {
		for _, id := range e.ids {
			forwarded = plus(forwarded, rows[id])
		}
	}
	out.Reasons[lb.Forwarded] = forwarded
	return out, nil
}

// sums are counters that are being added up.
type sums struct {
	lb.Counters
	// rows are the counts of replicas, by id.
	rows  []lb.Count
	flows []lb.FlowCount
	// retired counts the packets of removed replicas, by the id of their service.
	retired map[uint32]lb.Count
	// forwarded are the packets of all replicas.
	forwarded lb.Count
}

func (c *counters) countRemoved(s *sums) {
	for _, id := range c.removed {
		service := c.tables.Replicas.Row(id).Service
		s.retired[service] = plus(s.retired[service], s.rows[id])
		s.forwarded = plus(s.forwarded, s.rows[id])
	}
}

func (c *counters) countService(s *sums, v lb.VIP, e *entry) {
	past := *c.tables.RetiredCounts.Row(e.row.Id)
	all := plus(s.retired[e.row.Id], lb.Count{Packets: past.Packets, Bytes: past.Bytes})
	byReplica, flows := make(map[netip.AddrPort]lb.Count, len(e.ids)), make(map[netip.AddrPort]lb.FlowCount, len(e.ids))
	for a, id := range e.ids {
		n := s.rows[id]
		byReplica[a], flows[a], all = n, s.flows[id], plus(all, n)
		s.forwarded = plus(s.forwarded, n)
	}
	s.Services[v], s.Replicas[v], s.Flows[v] = all, byReplica, flows
}

// batchWorth is how many rows are read in one of a batch in the time that one read by itself takes.
const batchWorth = 8

// rowsOf returns what a table has of the replicas of some services: it reads their rows alone, or all where that is faster.
func rowsOf[Row, Sum any](m *ebpf.Map, sum func([]Row) Sum, services map[lb.VIP]*entry, of []lb.Service) ([][]Sum, error) {
	wanted, end := 0, uint32(0)
	for _, s := range of {
		if e := services[s.VIP]; e != nil {
			wanted += len(e.ids)
			for _, id := range e.ids {
				end = max(end, id+1)
			}
		}
	}
	row := func(id uint32) (Sum, error) { return readRow(m, id, sum) }
	if wanted*batchWorth > int(end) {
		rows, err := readFirst(m, int(end), sum)
		if err != nil {
			return nil, err
		}
		row = func(id uint32) (Sum, error) { return rows[id], nil }
	}
	return eachReplica(services, of, row)
}

// eachReplica returns what there is of each replica of some services, by its id; of those that there are not, the zero value.
func eachReplica[E any](services map[lb.VIP]*entry, of []lb.Service, what func(id uint32) (E, error)) ([][]E, error) {
	replicas := 0
	for _, s := range of {
		replicas += len(s.Replicas)
	}
	all, room := make([][]E, len(of)), make([]E, replicas)
	for n, s := range of {
		all[n], room = room[:len(s.Replicas):len(s.Replicas)], room[len(s.Replicas):]
		e := services[s.VIP]
		for k, r := range s.Replicas {
			id, has := e.replicaID(r.Address)
			if !has {
				continue
			}
			var err error
			if all[n][k], err = what(id); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// endOfRows returns how many rows of replicas there are up to the highest id that is in use.
func (c *counters) endOfRows(services map[lb.VIP]*entry) (end int) {
	for _, id := range c.removed {
		end = max(end, int(id)+1)
	}
	for _, e := range services {
		for _, id := range e.ids {
			end = max(end, int(id)+1)
		}
	}
	return end
}

// foldRemoved adds the counts of removed replicas to the retired counts of their services and to the reason, and
// clears them. No packet may still go to them. A process killed in between counts one replica twice.
func (c *counters) foldRemoved() error {
	for _, id := range c.removed {
		if flows := c.program.objects.FlowCounts; flows != nil { // tables of a former layout have none
			if err := zero[bpf.LbFlowCount](flows, id); err != nil {
				return err
			}
		}
		n, err := read(c.program.objects.ByReplica, id)
		if err != nil {
			return err
		}
		if n == (lb.Count{}) {
			continue
		}
		of := c.tables.Replicas.Row(id).Service
		past := *c.tables.RetiredCounts.Row(of)
		past.Packets, past.Bytes = past.Packets+n.Packets, past.Bytes+n.Bytes
		c.tables.RetiredCounts.Put(of, past)
		if err := c.addForwarded(n); err != nil {
			return err
		}
		if err := zero[bpf.LbCount](c.program.objects.ByReplica, id); err != nil {
			return err
		}
	}
	c.removed = nil
	return nil
}

// addForwarded adds to the row of the reason forwarded. No packet writes to that row. Of tables that count other reasons
// the row is not known.
func (c *counters) addForwarded(n lb.Count) error {
	if len(c.program.reasons) == 0 {
		return nil
	}
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

// read sums a row of packets over CPUs.
func read(m *ebpf.Map, index uint32) (lb.Count, error) { return readRow(m, index, sum) }

// readRow sums a row over CPUs.
func readRow[Row, Sum any](m *ebpf.Map, index uint32, sum func([]Row) Sum) (all Sum, err error) {
	var perCPU []Row
	if err := m.Lookup(index, &perCPU); err != nil {
		return all, fmt.Errorf("read counter %d of %v: %w", index, m, err)
	}
	return sum(perCPU), nil
}

func sum(perCPU []bpf.LbCount) (all lb.Count) {
	for _, c := range perCPU {
		all = plus(all, lb.Count{Packets: c.Packets, Bytes: c.Bytes})
	}
	return all
}

func sumFlows(perCPU []bpf.LbFlowCount) (all lb.FlowCount) {
	for _, c := range perCPU {
		all.Begun, all.Resets, all.Refusals = all.Begun+c.Begun, all.Resets+c.Resets, all.Refusals+c.Refusals
	}
	return all
}

// rowsAtOnce is how many rows one system call reads: with 128 CPUs, 2 MB.
const rowsAtOnce = 1024

// readFirst sums the first n rows over CPUs, by a system call for many of them.
func readFirst[Row, Sum any](m *ebpf.Map, n int, sum func([]Row) Sum) ([]Sum, error) {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, fmt.Errorf("count CPUs: %w", err)
	}
	sums := make([]Sum, 0, n)
	keys := make([]uint32, min(n, rowsAtOnce))
	perCPU := make([]Row, len(keys)*cpus)
	var cursor ebpf.MapBatchCursor
	for len(sums) < n {
		rows, err := m.BatchLookup(&cursor, keys, perCPU, nil)
		if err != nil && (!errors.Is(err, ebpf.ErrKeyNotExist) || len(sums)+rows < n) {
			return nil, fmt.Errorf("read counters %d to %d of %v: %w", len(sums), len(sums)+len(keys)-1, m, err)
		}
		for row := range slices.Chunk(perCPU[:min(rows, n-len(sums))*cpus], cpus) {
			sums = append(sums, sum(row))
		}
	}
	return sums, nil
}

// zero clears a row.
func zero[Row any](m *ebpf.Map, index uint32) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count CPUs: %w", err)
	}
	if err := m.Put(index, make([]Row, cpus)); err != nil {
		return fmt.Errorf("clear counter %d of %v: %w", index, m, err)
	}
	return nil
}

// flows counts the records and the slots with old flows of some services, or of all.
func (reg *registry) flows(of []lb.VIP) map[lb.VIP]lb.Flows {
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
	services := reg.services
	if len(of) > 0 {
		services = make(map[lb.VIP]*entry, len(of))
		for _, v := range of {
			if e := reg.services[v]; e != nil {
				services[v] = e
			}
		}
	}
	all := make(map[lb.VIP]lb.Flows, len(services))
	for v, e := range services {
		reg.countOldFlows(e, byID)
		f := lb.Flows{InTransition: e.slotsInTransition(), Replicas: make(map[netip.AddrPort]lb.ReplicaFlows, len(e.ids))}
		for a, id := range e.ids {
			f.Replicas[a] = byID[id]
		}
		all[v] = f
		reg.tables.Trim()
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
