package datapath

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// always returns a service of two replicas that records every flow.
func always(vip string, replicas ...string) lb.Service {
	s := tracked(web(vip, replicas...))
	s.Tracking = lb.TrackAlways
	return s
}

// inLine returns n ports, from one on, whose flows have their records in the same line of a table of so many
// lines.
func (x fixture) inLine(lines, n int, from uint16) (ports []uint16) {
	key := func(port uint16) uint32 {
		f := x.flow(port)
		return uint32(bpf.FlowKey(x.d.secret, f.Source, f.Destination, uint8(f.Protocol))) % uint32(lines)
	}
	for port := from; len(ports) < n; port++ {
		if key(port) == key(from) {
			ports = append(ports, port)
		}
	}
	return ports
}

func (x fixture) record(port uint16) lb.Record {
	x.Helper()
	e, err := x.d.Explain(lb.Probe{Flow: x.flow(port)})
	if err != nil {
		x.Fatal(err)
	}
	return e.Record
}

// A half-open flow evicts the older one of two.
func TestOlderHalfOpenIsEvicted(t *testing.T) {
	x := newFixture(t, always("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80"))
	ports := x.inLine(len(x.d.registry.tables.HalfOpen.Rows), bpf.RecordEntries+2, 1)
	for _, port := range ports[:bpf.RecordEntries] {
		x.send(port, true)
	}
	x.wait(time.Second)
	for _, port := range ports[bpf.RecordEntries:] {
		x.send(port, true)
	}
	for _, port := range ports[bpf.RecordEntries:] {
		if got := x.record(port); got != lb.HalfOpen {
			t.Errorf("one of the two newest flows, port %d, has %q for a record", port, got)
		}
	}
	if f := x.flows(); halfOpenOf(f) != bpf.RecordEntries {
		t.Errorf("%d records in a line of %d", halfOpenOf(f), bpf.RecordEntries)
	}
}

func halfOpenOf(f lb.Flows) (n uint64) {
	for _, r := range f.Replicas {
		n += r.HalfOpen
	}
	return n
}

// A flood to one service does not evict the half-open flows of another.
func TestFloodOfAnotherService(t *testing.T) {
	x := newFixture(t, always("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80"))
	calm := always("192.0.2.2:80", "10.1.0.2:81", "10.1.0.3:81")
	x.set(calm)
	flooded := x
	x.service = calm
	for _, port := range []uint16{1, 2} {
		x.send(port, true)
	}
	for port := uint16(1); port < 5000; port++ {
		flooded.send(port, true)
	}
	for _, port := range []uint16{1, 2} {
		if got := x.record(port); got != lb.HalfOpen {
			t.Errorf("port %d has %q for a record", port, got)
		}
	}
	if n, all := halfOpenOf(flooded.flows()), bpf.RecordEntries*len(x.d.registry.tables.HalfOpen.Rows)-2; n < uint64(all)/2 {
		t.Errorf("%d records of the flood where there is room for %d", n, all)
	}
}

// Established flows are not evicted, and the last entries of a line are given out at a limited rate.
func TestLastEntriesAreRateLimited(t *testing.T) {
	x := newFixtureWith(t, always("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80"), Options{TokenRate: 1})
	began := time.Now()
	ports := x.inLine(len(x.d.registry.tables.Established.Rows), 2*bpf.RecordEntries, 1)
	for _, port := range ports {
		x.send(port, true)
		x.send(port, false)
	}
	established := 0
	for i, port := range ports {
		got := x.record(port)
		if got == lb.Established {
			established++
		} else if i < bpf.RecordEntries-3 {
			t.Errorf("flow %d of a line has %q for a record", i, got)
		}
	}
	if most := bpf.RecordEntries - 3 + 1 + int(time.Since(began).Seconds()); established > most {
		t.Errorf("%d flows are recorded as established, at most %d may be by now", established, most)
	}
}

// A flow for which there is no room among the established ones goes on as a half-open one: each of its packets keeps
// its record young.
func TestNoRoomToBeEstablished(t *testing.T) {
	x := newFixture(t, always("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80"))
	ports := x.inLine(len(x.d.registry.tables.Established.Rows), bpf.RecordEntries+1, 1)
	for _, port := range ports {
		x.send(port, true)
		x.send(port, false)
	}
	last := ports[bpf.RecordEntries]
	for second := range 2 * lb.IdleSteps {
		if got := x.record(last); got != lb.HalfOpen {
			t.Fatalf("after %d s: the flow without room has %q for a record, want half-open", second, got)
		}
		x.wait(time.Second) // one step: the idle time is 8 s
		for _, port := range ports {
			x.send(port, false)
		}
	}
}

// fragment sends one of two fragments of a packet with an identification.
func (x fixture) fragment(id uint16, first bool) lb.Reason {
	x.Helper()
	frame, err := oracle.FrameOf(lb.Probe{Flow: x.flow(1)})
	if err != nil {
		x.Fatal(err)
	}
	bits := uint16(1) << 13 // more fragments
	if !first {
		bits = 8
	}
	binary.BigEndian.PutUint16(frame[18:], id)
	binary.BigEndian.PutUint16(frame[20:], bits)
	before := x.counters().Reasons
	if _, err := send(x.d.Program(), x.ingress, frame); err != nil {
		x.Fatal(err)
	}
	for r, c := range x.counters().Reasons {
		if c.Packets != before[r].Packets {
			return r
		}
	}
	x.Fatal("not counted")
	return ""
}

// A first fragment takes the place of the one in its line that is kept the longest, also when the clock has wrapped, and
// of its own if it has come before. What is half written is nobody's.
func TestOldestFragmentIsEvicted(t *testing.T) {
	x := newFixture(t, web("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80"))
	lines, source := x.d.program.objects.Fragments, x.flow(1).Source.Addr()
	key := func(id uint16) uint64 {
		return bpf.FragmentKey(x.d.secret, source, x.service.VIP.Address.Addr(), uint32(id), uint8(packet.TCP))
	}
	// Six in one line. A given line may have fewer: 65,536 identifications are 8 for each on average.
	inLine := map[uint32][]uint16{}
	var at uint32
	for id := uint16(1); len(inLine[at]) < 6; id++ {
		at = uint32(key(id)) % lines.MaxEntries()
		inLine[at] = append(inLine[at], id)
	}
	ids := inLine[at]
	known := func(context string, want ...uint16) {
		t.Helper()
		for _, id := range ids {
			if got := x.fragment(id, false); (got == lb.Forwarded) != slices.Contains(want, id) {
				t.Errorf("%s: later fragment %d: %s", context, slices.Index(ids, id), got)
			}
		}
	}
	// The entries of the first four, the third of them the oldest: its time of writing is the largest number.
	x.fragment(ids[0], true)
	var line bpf.LbFragmentLine
	if err := lines.Lookup(at, &line); err != nil {
		t.Fatal(err)
	}
	const tick, times = 1 << 40, 1 << 24
	var first uint64
	for _, e := range line.Entry {
		first |= e.Says
	}
	now := first / tick
	for i, ago := range []uint64{3, 1, now + 2, 2} {
		e := &line.Entry[i]
		e.Says = first%tick | (now-ago)%times*tick
		e.Check = e.Says ^ key(ids[i])
	}
	write := func() {
		t.Helper()
		if err := lines.Put(at, line); err != nil {
			t.Fatal(err)
		}
	}
	write()
	known("at the beginning", ids[:4]...)
	x.fragment(ids[1], true)
	known("one that is known comes again", ids[:4]...)
	x.fragment(ids[4], true)
	known("a fifth comes", ids[0], ids[1], ids[3], ids[4])
	write()
	line.Entry[0].Says ^= 1 << 16
	write()
	known("an entry is half written", ids[1:4]...)
}

// A packet that the short path picks a replica for, and that then needs the walk, is picked for once: the first packet of
// a UDP flow leaves it half-open, its second one makes it established.
func TestPickedOnce(t *testing.T) {
	s := always("192.0.2.1:80", "10.1.0.9:80") // no neighbour: the kernel has to find it
	s.VIP.Protocol = packet.UDP
	x := newFixture(t, s)
	f := x.flow(1)
	f.Protocol = packet.UDP
	frame, err := oracle.FrameOf(lb.Probe{Flow: f})
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []lb.ReplicaFlows{{HalfOpen: 1}, {Established: 1}} {
		if v, err := send(x.d.Program(), x.ingress, frame); err != nil || v.Action != oracle.Pass {
			t.Fatalf("%v, %v", v.Action, err)
		}
		var got lb.ReplicaFlows
		for _, r := range x.flows().Replicas {
			got.HalfOpen += r.HalfOpen
			got.Established += r.Established
		}
		if got.HalfOpen != want.HalfOpen || got.Established != want.Established {
			t.Errorf("after packet %d: %d half-open, %d established", n+1, got.HalfOpen, got.Established)
		}
	}
}
