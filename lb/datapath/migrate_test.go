package datapath

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/contract"
	"lbctl/lb/oracle"
	"lbctl/lb/testns"
	"lbctl/rss/packet"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/google/go-cmp/cmp"
)

// worn is a datapath in whose tables there is something of everything: slots in transition, a previous table, records of
// flows with other replicas than the owners of their slots, a path MTU, a fragment, counts; and replicas whose ids are not
// the first ones.
type worn struct {
	fixture
	services []lb.Service
	with     map[packet.Flow]netip.AddrPort // the replica of every flow
	counted  map[string]uint64              // packets that were forwarded, by VIP and in all
	told     uint64                         // the path MTU that packets noted
}

func wornLimits() lb.Limits {
	return lb.Limits{Services: 8, Replicas: 32, Slots: 128, Flows: 1 << 12, SourceRanges: 64}
}

// wornServices are what there was first, and what it was changed into.
func wornServices() (first, changed []lb.Service) {
	of := func(vip string, port int, p packet.Protocol) lb.Service {
		s := web(vip)
		s.VIP.Protocol = p
		for i := range 3 {
			s.Replicas = append(s.Replicas, lb.Replica{Address: netip.MustParseAddrPort(fmt.Sprintf("10.1.0.%d:%d", i+2, port))})
		}
		return s.WithDefaults()
	}
	sameSlots, rehashed := tracked(maglev(of("192.0.2.1:80", 81, packet.TCP))), tracked(of("192.0.2.2:80", 82, packet.TCP))
	always, direct := of("192.0.2.3:53", 83, packet.UDP), of("192.0.2.4:80", 84, packet.TCP)
	always.Tracking, always.Idle, direct.Tracking = lb.TrackAlways, 8*time.Second, lb.Stateless
	first = []lb.Service{sameSlots, rehashed, always, direct}
	for _, s := range first {
		s = s.Clone()
		s.Replicas[1].State = lb.Draining
		if s.Scheduler == lb.Modulo {
			s.TableSize = s.Active()
		}
		changed = append(changed, s)
	}
	changed[2].Seed = 7
	return first, changed
}

func newWorn(t *testing.T, edit func(*ebpf.CollectionSpec)) *worn {
	inNamespace(t)
	l := testns.Veth(t, "up", "10.1.0.1/24")
	for _, a := range []string{"10.1.0.2", "10.1.0.3", "10.1.0.4"} {
		testns.Neighbour(t, l, a)
	}
	d := open(t, Options{Dir: testns.PinDir(t), Limits: wornLimits(), manualClock: true, edit: edit})
	x := &worn{fixture: fixture{T: t, d: d, ingress: l.Attrs().Index}, with: map[packet.Flow]netip.AddrPort{}, counted: map[string]uint64{}}
	if _, err := x.d.Attach(t.Context(), "up", lb.Auto); err != nil {
		t.Fatal(err)
	}
	before := web("192.0.2.9:80", "10.1.0.2:99", "10.1.0.3:99", "10.1.0.4:99")
	x.set(before)
	first, changed := wornServices()
	for _, s := range first {
		x.set(s)
		x.start(d.Program(), s, 1, 20)
	}
	if err := x.d.RemoveService(t.Context(), before.VIP); err != nil {
		t.Fatal(err)
	}
	for _, s := range changed {
		x.set(s)
		if s.Tracking == lb.Stateless { // its flows may have moved
			maps.DeleteFunc(x.with, func(f packet.Flow, _ netip.AddrPort) bool { return f.Destination == s.VIP.Address })
		}
		x.start(d.Program(), s, 101, 120)
	}
	x.services = changed
	x.wait(2 * time.Second)
	x.told = ticks(t)<<16 | 1400
	atomic.StoreUint64(x.pathMTU(x.d), x.told)
	x.fragmentAt(0)
	return x
}

// start has a program forward the first packets of flows, from one client port to another.
func (x *worn) start(p *ebpf.Program, s lb.Service, from, to uint16) {
	x.Helper()
	for port := from; port <= to; port++ {
		f := packet.Flow{Source: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), port), Destination: s.VIP.Address, Protocol: s.VIP.Protocol}
		x.sendBy(p, f, 0x02)
		x.with[f] = x.sendBy(p, f, 0x10)
	}
}

// sendBy has a program forward a packet, and returns the replica that it goes to.
func (x *worn) sendBy(p *ebpf.Program, f packet.Flow, flags uint8) netip.AddrPort {
	x.Helper()
	v, err := send(p, x.ingress, contract.Packet{Flow: f, TTL: 64, Flags: flags}.Frame())
	if err != nil || v.Action != oracle.Transmit {
		x.Fatalf("%v: %v, %v", f, v.Action, err)
	}
	x.count(f.Destination)
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(v.Frame[30:34])), uint16(v.Frame[36])<<8|uint16(v.Frame[37]))
}

func (x *worn) count(vip netip.AddrPort) {
	x.counted[vip.String()]++
	x.counted["all"]++
}

// fragmentAt sends one of a packet to the first service: the first one, or the later one that needs it.
func (x *worn) fragmentAt(offset int) {
	x.Helper()
	p := contract.Packet{TTL: 64, Flow: packet.Flow{
		Source: netip.MustParseAddrPort("198.51.100.7:1"), Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP,
	}}
	fragment(offset, offset == 0)(&p)
	if v, err := send(x.d.Program(), x.ingress, p.Frame()); err != nil || v.Action != oracle.Transmit {
		x.Errorf("a fragment at %d: %v, %v", offset, v.Action, err)
	}
	x.count(p.Flow.Destination)
}

func (x *worn) pathMTU(d *Datapath) *uint64 {
	id := d.registry.services[lb.VIP{Address: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP}].ids[netip.MustParseAddrPort("10.1.0.2:81")]
	return &d.registry.tables.Replicas.Row(id).PathMtu
}

// stay checks that flows are with their replicas, by a program.
func (x *worn) stay(when string, p *ebpf.Program, flows map[packet.Flow]netip.AddrPort) {
	x.Helper()
	for f, with := range flows {
		if got := x.sendBy(p, f, 0x10); got != with {
			x.Errorf("%s: %v is with %v, was with %v", when, f, got, with)
		}
	}
}

// counts checks that every packet is counted, and that no replica's count is less than it was before.
func (x *worn) counts(before lb.Counters) {
	x.Helper()
	c := x.counters()
	all := map[string]uint64{"all": c.Reasons[lb.Forwarded].Packets}
	for v, n := range c.Services {
		all[v.Address.String()] = n.Packets
	}
	if diff := cmp.Diff(x.counted, all); diff != "" {
		x.Error("packets counted (-want +got):", diff)
	}
	for v, replicas := range before.Replicas {
		for a, n := range replicas {
			if now := c.Replicas[v][a]; now.Packets < n.Packets || now.Bytes < n.Bytes {
				x.Errorf("%v of %v: counted %v, and %v before", a, v, now, n)
			}
		}
	}
}

func (x *worn) linkID() uint32 {
	x.Helper()
	for _, l := range x.d.links.hook.Links {
		info, err := l.Info()
		if err != nil {
			x.Fatal(err)
		}
		return uint32(info.ID)
	}
	x.Fatal("there is no link")
	return 0
}

// migrations are limits to which worn tables go.
func migrations() map[string]lb.Limits {
	more, flows, fewer, replicas := wornLimits(), wornLimits(), wornLimits(), wornLimits()
	more.Services, more.Slots = 4*more.Services, 2*more.Slots
	flows.Flows *= 4
	fewer.Flows /= 4
	replicas.Replicas *= 2
	return map[string]lb.Limits{
		"more services and slots": more, "more flows": flows, "fewer flows": fewer, "more replicas": replicas,
		"as few as are in use": {Services: 4, Replicas: 12, Slots: 7 + 2 + 3 + 2 + 2, Flows: 1 << 10},
		"many of all":          {Services: 1 << 10, Replicas: 1 << 14, Slots: 1 << 20, Flows: 1 << 16},
	}
}

// Other limits change nothing for packets: flows stay with their replicas, also those that are with the previous owner of
// their slot, or are recorded while the tables are changed; and what was counted is counted.
func TestMigrateLimits(t *testing.T) {
	for name, limits := range migrations() {
		t.Run(name, func(t *testing.T) { testMigrate(t, limits, nil) })
	}
}

// The tables of earlier versions that this one can read are carried over, but for those whose rows were others.
func TestMigrateFormer(t *testing.T) {
	for schema, former := range formerPins() {
		t.Run(fmt.Sprint(schema), func(t *testing.T) {
			testMigrate(t, wornLimits(), func(dir string) {
				former(t, dir)
				pinSchema(t, dir, uint16(schema))
			})
		})
	}
}

func testMigrate(t *testing.T, limits lb.Limits, former func(dir string)) {
	x := newWorn(t, nil)
	old, err := x.d.Program().Clone()
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	link, flows, counted, early := x.linkID(), x.inTransition(), x.counters(), maps.Clone(x.with)
	closed(t, x.d)
	if former != nil {
		former(x.d.options.Dir)
	}
	o := Options{Dir: x.d.options.Dir, Limits: limits, manualClock: true}
	o.step = func(d *Datapath, step string) {
		switch step {
		case "carried":
			x.stay("while the links have the old program", old, early)
			for _, s := range x.services {
				x.start(old, s, 201, 210)
			}
		case "switched":
			x.stay("when the links have just got the program", d.Program(), early)
		}
	}
	x.d = open(t, o)
	consistent(t, x.d)
	x.counts(counted)
	if got := x.linkID(); got != link {
		t.Errorf("link %d, was %d: the interface was attached anew", got, link)
	}
	holds(t, "after the migration", programID(t, x.d), "up")
	if diff := cmp.Diff(flows, x.inTransition()); diff != "" {
		t.Error("slots in transition (-before +after):", diff)
	}
	if got := atomic.LoadUint64(x.pathMTU(x.d)); got != x.told {
		t.Errorf("path MTU %x", got)
	}
	if former == nil {
		x.fragmentAt(24)
	}
	x.stay("after the migration", x.d.Program(), x.with)
	if c := condition(t, x.d); c.Mended != 0 || len(c.Faults) > 0 {
		t.Errorf("after the migration: %+v", c)
	}
	x.onlyOurs("after the migration")
	closed(t, x.d)
	o.step = nil
	x.d = open(t, o)
	x.stay("after another start", x.d.Program(), x.with)
	x.counts(counted)
	x.settles()
}

// inTransition is the number of slots of every service that are in transition.
func (x *worn) inTransition() map[string]uint32 {
	x.Helper()
	flows, err := x.d.Flows()
	if err != nil {
		x.Fatal(err)
	}
	all := map[string]uint32{}
	for v, f := range flows {
		all[v.Address.String()] = f.InTransition
	}
	return all
}

// settles checks that time goes on, and that no number is lost: when no flow is left, everything is free.
func (x *worn) settles() {
	x.Helper()
	for range 3 {
		x.wait(3 * time.Second)
		x.stay("as time goes on", x.d.Program(), x.with)
	}
	x.wait(20 * time.Second)
	for vip, n := range x.inTransition() {
		if n != 0 {
			x.Errorf("%d slots of %s are in transition when all flows have ended", n, vip)
		}
	}
	for _, s := range x.services {
		if err := x.d.RemoveService(x.T.Context(), s.VIP); err != nil {
			x.Fatal(err)
		}
	}
	unused(x.T, x.d)
}

// What has no room within the limits, and a program that the kernel refuses, end no balancing and leave nothing.
func TestMigrationRefused(t *testing.T) {
	x := newWorn(t, nil)
	closed(t, x.d)
	o := Options{Dir: x.d.options.Dir, Limits: wornLimits(), manualClock: true}
	pins, program := pinsOf(t, o.Dir), attached(t, "up")
	refused := func(o Options, want ...string) {
		t.Helper()
		d, err := Open(t.Context(), o)
		if err == nil {
			closed(t, d)
			t.Fatal("opened")
		}
		text := err.Error()
		var hinted interface{ Hint() string }
		if errors.As(err, &hinted) {
			text += "\n" + hinted.Hint()
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("open: %v, want it to say %s", text, w)
			}
		}
		if diff := cmp.Diff(pins, pinsOf(t, o.Dir)); diff != "" {
			t.Error("pins (-before +after):", diff)
		}
		holds(t, "refused", program, "up")
	}
	fewer := o
	fewer.Limits.Services = 3
	refused(fewer, "datapath.limits.services of 3", "conflict", "4 are in use", "raise it to 4")
	fewer = o
	fewer.Limits.Replicas = 11
	refused(fewer, "datapath.limits.replicas of 11", "12 are in use")
	fewer = o
	fewer.Limits.Slots = 15
	refused(fewer, "datapath.limits.slots of 15", "16 are in use")
	broken := o
	broken.Limits.Services = 16
	broken.edit = func(s *ebpf.CollectionSpec) {
		s.Programs[bpf.LbProgLb].Instructions = asm.Instructions{asm.Return()} // R0 is not set
	}
	refused(broken, "load the datapath", "the pinned ones go on as they are")
	x.d = open(t, o)
	x.stay("after all", x.d.Program(), x.with)
}

// pinsOf are the names of what is pinned, and the numbers of the maps.
func pinsOf(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := path
		if m, err := ebpf.LoadPinnedMap(path, nil); err == nil {
			info, err := m.Info()
			if err != nil {
				return err
			}
			id, _ := info.ID()
			name += fmt.Sprint(" ", id)
			m.Close()
		}
		all = append(all, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Tables of another layout are replaced by new ones, of what is to be forwarded: flows of settled slots stay. Where that is
// not known they are left as they are.
func TestMigrateLayout(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"a later schema":    func(t *testing.T, dir string) { pinSchema(t, dir, schema+1) },
		"an earlier schema": func(t *testing.T, dir string) { pinSchema(t, dir, 4) },
		"no schema":         func(t *testing.T, dir string) { unpin(t, dir, bpf.LbMapSettings) },
		"a table less": func(t *testing.T, dir string) {
			unpin(t, dir, bpf.LbMapTokenBuckets)
			pinSchema(t, dir, 1)
		},
	} {
		t.Run(name, func(t *testing.T) { testOtherLayout(t, spoil) })
	}
}

func testOtherLayout(t *testing.T, spoil func(t *testing.T, dir string)) {
	x := newWorn(t, withFormerTable)
	settled, link := x.settled(), x.linkID()
	closed(t, x.d)
	o := Options{Dir: x.d.options.Dir, Limits: wornLimits(), manualClock: true}
	spoil(t, o.Dir)
	pins, program := pinsOf(t, o.Dir), attached(t, "up")
	for range 2 { // the first refusal must not make the second start succeed
		d, err := Open(t.Context(), o)
		if err == nil {
			closed(t, d)
			t.Fatal("opened")
		}
		var other *unreadableError
		if !errors.Is(err, lb.ErrConflict) || !errors.As(err, &other) || !strings.Contains(other.Hint(), "--state-dir") {
			t.Errorf("open: %v, want a conflict that names --state-dir", err)
		}
	}
	if diff := cmp.Diff(pins, pinsOf(t, o.Dir)); diff != "" {
		t.Error("pins after a refusal (-before +after):", diff)
	}
	holds(t, "refused", program, "up")
	o.Services = x.services
	o.step = func(d *Datapath, step string) {
		if step == "switched" {
			x.stay("when the links have just got the program", d.Program(), settled)
		}
	}
	x.d = open(t, o)
	consistent(t, x.d)
	if got := x.linkID(); got != link {
		t.Errorf("link %d, was %d: the interface was attached anew", got, link)
	}
	holds(t, "after the migration", programID(t, x.d), "up")
	if c := condition(t, x.d); c.Mended != 0 || len(c.Faults) > 0 {
		t.Errorf("after the migration: %+v", c)
	}
	x.onlyOurs("after the migration")
	closed(t, x.d)
	o.step, o.Services = nil, nil
	x.d = open(t, o)
	x.stay("after another start", x.d.Program(), settled)
}

// onlyOurs checks that everything is pinned that must be, and nothing else.
func (x *worn) onlyOurs(when string) {
	x.Helper()
	want, err := pinNames()
	if err != nil {
		x.Fatal(err)
	}
	want = slices.DeleteFunc(want, func(name string) bool { return name == programPin+"_next" })
	var got []string
	for _, pin := range pinsOf(x.T, x.d.options.Dir)[1:] {
		if name, _, _ := strings.Cut(filepath.Base(pin), " "); !strings.HasPrefix(name, "link_") {
			got = append(got, name)
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		x.Errorf("%s: pins (-want +got): %s", when, diff)
	}
}

// settled are the flows that are with the owners of their slots.
func (x *worn) settled() map[packet.Flow]netip.AddrPort {
	x.Helper()
	flows := map[packet.Flow]netip.AddrPort{}
	for f, with := range x.with {
		e, err := x.d.Explain(lb.Probe{Flow: f})
		if err != nil {
			x.Fatal(err)
		}
		if e.Owner == with {
			flows[f] = with
		}
	}
	if len(flows) == 0 || len(flows) == len(x.with) {
		x.Fatalf("%d of %d flows are with the owners of their slots", len(flows), len(x.with))
	}
	return flows
}

// withFormerTable makes the program one that has a table of which this version knows nothing.
func withFormerTable(s *ebpf.CollectionSpec) {
	s.Maps["former"] = &ebpf.MapSpec{Name: "former", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1, Pinning: ebpf.PinByName}
	code := s.Programs[bpf.LbProgLb].Instructions
	s.Programs[bpf.LbProgLb].Instructions = slices.Insert(code, 1, asm.LoadMapPtr(asm.R0, 0).WithReference("former"))
}

func unpin(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}
