package datapath

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/contract"
	"lbctl/lb/oracle"
	"lbctl/lb/testns"
	"lbctl/rss/packet"

	"github.com/cilium/ebpf"
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
		return uint32(bpf.FlowKey(x.d.secret, f.Source, f.Destination, uint8(f.Protocol), f.Destination.Port())) % uint32(lines)
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
	ports := x.inLine(x.d.registry.tables.HalfOpen.Len(), bpf.RecordEntries+2, 1)
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
	if n, all := halfOpenOf(flooded.flows()), bpf.RecordEntries*x.d.registry.tables.HalfOpen.Len()-2; n < uint64(all)/2 {
		t.Errorf("%d records of the flood where there is room for %d", n, all)
	}
}

// Established flows are not evicted, and the last entries of a line are given out at a limited rate.
func TestLastEntriesAreRateLimited(t *testing.T) {
	x := newFixtureWith(t, always("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80"), Options{TokenRate: 1})
	began := time.Now()
	ports := x.inLine(x.d.registry.tables.Established.Len(), 2*bpf.RecordEntries, 1)
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
	ports := x.inLine(x.d.registry.tables.Established.Len(), bpf.RecordEntries+1, 1)
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

// byRecord are two services with the same replicas, and their flows. Answers are told by the records of these.
type byRecord struct {
	returnPath
	services [2]lb.Service
	with     map[packet.Flow]netip.AddrPort // the replica of every flow
	taken    []packet.Flow                  // may not begin, since its replica has another one from the same port
}

func newByRecord(t *testing.T, l lb.Limits) *byRecord {
	x := &byRecord{returnPath: newReturnPath(t, Options{Dir: testns.PinDir(t), Limits: l, manualClock: true}), with: map[packet.Flow]netip.AddrPort{}}
	for _, a := range []string{"10.1.0.2", "10.1.0.3"} {
		testns.Neighbour(t, x.link, a)
	}
	for i := range x.services {
		s := web(fmt.Sprintf("192.0.2.%d:81", i+1), "10.1.0.2:81", "10.1.0.3:81")
		s.Tracking, s.Idle = lb.TrackAlways, 8*time.Second
		x.services[i] = s
		if err := x.d.SetService(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

func (x *byRecord) send(p *ebpf.Program, f packet.Flow, flags uint8) oracle.Verdict {
	x.Helper()
	v, err := send(p, x.link.Attrs().Index, contract.Packet{Flow: f, TTL: 64, Flags: flags}.Frame())
	if err != nil {
		x.Fatal(err)
	}
	return v
}

// begin has the packets of a client come that begin flows from its ports, to both VIPs.
func (x *byRecord) begin(ports int) {
	x.Helper()
	for port := range ports {
		for _, s := range x.services {
			client := netip.AddrPortFrom(netip.MustParseAddr("198.18.0.1"), uint16(1000+port))
			f := packet.Flow{Source: client, Destination: s.VIP.Address, Protocol: packet.TCP}
			if v := x.send(x.d.Program(), f, 0x02); v.Action == oracle.Drop {
				x.taken = append(x.taken, f)
				continue
			}
			v := x.send(x.d.Program(), f, 0x10)
			x.with[f] = netip.AddrPortFrom(netip.AddrFrom4([4]byte(v.Frame[30:34])), 81)
		}
	}
	if len(x.taken) == 0 || len(x.taken) == ports {
		x.Fatalf("%d of %d ports are taken", len(x.taken), ports)
	}
}

// answer returns from where a packet of a replica comes behind a program; "" if that leaves it as it is.
func (x *byRecord) answer(p *ebpf.Program, replica, client netip.AddrPort) string {
	x.Helper()
	v := x.send(p, packet.Flow{Source: replica, Destination: client, Protocol: packet.TCP}, 0x10)
	if v.Action == oracle.Pass {
		return ""
	}
	return netip.AddrFrom4([4]byte(v.Frame[26:30])).String()
}

// told checks that a program tells answers by their records.
func (x *byRecord) told(when string, p *ebpf.Program) {
	x.Helper()
	for f, replica := range x.with {
		if got := x.answer(p, replica, f.Source); got != f.Destination.Addr().String() {
			x.Errorf("%s: the answer to %v comes from %q", when, f, got)
		}
		if got := x.answer(p, replica, netip.AddrPortFrom(f.Source.Addr(), 9)); got != "" {
			x.Errorf("%s: a packet of %v that answers nothing comes from %s", when, replica, got)
		}
	}
	for _, f := range x.taken {
		if v := x.send(p, f, 0x02); v.Action != oracle.Drop {
			x.Errorf("%s: %v begins: %v", when, f, v.Action)
		}
	}
}

// Where two services have the same replicas, other tables change nothing for their answers, whatever the replicas' ids become.
func TestMigrateShared(t *testing.T) {
	x := newByRecord(t, lb.Limits{Services: 16, Replicas: 32, Slots: 64, Flows: 1 << 12})
	all, err := x.d.Services()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.VIP.Address.Port() == 80 {
			if err := x.d.RemoveService(t.Context(), s.VIP); err != nil {
				t.Fatal(err)
			}
		}
	}
	x.begin(20)
	old, err := x.d.Program().Clone()
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	x.told("before", old)
	closed(t, x.d)
	o := Options{Dir: x.d.options.Dir, Limits: lb.Limits{Services: 2, Replicas: 4, Slots: 4, Flows: 1 << 11}, manualClock: true}
	o.step = func(d *Datapath, step string) {
		switch step {
		case "carried":
			x.told("while the links have the old program", old)
		case "switched":
			x.told("when the links have just got the program", d.Program())
		}
	}
	x.d = open(t, o)
	consistent(t, x.d)
	x.told("after the migration", x.d.Program())
	if c := condition(t, x.d); c.Mended != 0 || len(c.Faults) > 0 {
		t.Errorf("after the migration: %+v", c)
	}
}

// Where records of flows give way to others, what has no record is an answer nevertheless: it may have had one.
func TestAnswersWithoutRoom(t *testing.T) {
	x := newByRecord(t, lb.Limits{Services: 16, Replicas: 32, Slots: 64, Flows: 1 << 10}) // and 1<<8 that begin
	s, replica := x.services[0], x.services[0].Replicas[0].Address
	if err := x.d.RemoveService(t.Context(), x.services[1].VIP); err != nil {
		t.Fatal(err)
	}
	s.Replicas, s.TableSize = s.Replicas[:1], 1
	if err := x.d.SetService(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	client := func(port int) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr("198.18.0.1"), uint16(1000+port))
	}
	check := func(when, want string) {
		t.Helper()
		for port := range 1000 {
			f := packet.Flow{Source: replica, Destination: client(port), Protocol: packet.TCP}
			e, err := x.d.Explain(lb.Probe{Ingress: x.link.Attrs().Index, Flow: f})
			if err != nil {
				t.Fatal(err)
			}
			if got := x.answer(x.d.Program(), replica, f.Destination); got != want || (e.Reason == lb.Returned) != (got != "") {
				t.Fatalf("%s: %v comes from %q, explained as %v; want %q", when, f, got, e.Reason, want)
			}
		}
	}
	check("nothing recorded", "")
	for port := range 1000 {
		f := packet.Flow{Source: client(port), Destination: s.VIP.Address, Protocol: packet.TCP}
		if v := x.send(x.d.Program(), f, 0x02); v.Action == oracle.Drop {
			t.Fatalf("%v does not begin", f)
		}
	}
	check("1,000 flows that begin, and room for 256", "192.0.2.1")
	if err := x.d.sweep(9 * s.Idle / lb.IdleSteps); err != nil {
		t.Fatal(err)
	}
	check("after the idle time", "")
}

// Tables of a version to which every packet of a replica was an answer have flows that are not recorded. For an idle time
// nothing changes for them.
func TestAdoptWithoutRecords(t *testing.T) {
	x := newByRecord(t, lb.DefaultLimits)
	replica, client := netip.MustParseAddrPort("10.1.0.2:81"), netip.MustParseAddrPort("198.18.0.1:9")
	if err := x.d.RemoveService(t.Context(), x.services[1].VIP); err != nil {
		t.Fatal(err)
	}
	if got := x.answer(x.d.Program(), replica, client); got != "" {
		t.Errorf("a packet that answers nothing comes from %s", got)
	}
	id := x.d.registry.services[x.services[0].VIP].ids[replica]
	row := *x.d.registry.tables.RevNats.Row(id)
	row.Flags, row.Hash, row.Seed = 0, 0, 0
	x.d.registry.tables.RevNats.Put(id, row)
	closed(t, x.d)
	x.d = open(t, Options{Dir: x.d.options.Dir, Limits: lb.DefaultLimits, manualClock: true})
	for _, c := range []struct {
		after time.Duration
		want  string
	}{{0, "192.0.2.1"}, {8 * time.Second, "192.0.2.1"}, {time.Second, ""}} {
		if err := x.d.sweep(c.after); err != nil {
			t.Fatal(err)
		}
		if got := x.answer(x.d.Program(), replica, client); got != c.want {
			t.Errorf("%v later a packet of a flow without a record comes from %q, want %q", c.after, got, c.want)
		}
	}
}
