package datapath

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/nexthop"
	"lbctl/lb/tables"
	"lbctl/lb/tables/watch"
	"lbctl/lb/testns"
	"lbctl/rss/packet"

	"github.com/vishvananda/netlink"
)

// group is packets that must change what becomes of them all at once.
type group struct {
	name   string
	frames [][]byte
}

// toService are packets of some flows to a VIP.
func toService(vip string) group {
	g := group{name: "to " + vip}
	for port := range uint16(8) {
		f := packet.Flow{
			Source: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), 1000+port), Destination: netip.MustParseAddrPort(vip), Protocol: packet.TCP,
		}
		g.frames = append(g.frames, packet.Frame{Flow: f}.Marshal())
	}
	return g
}

// from is a packet from a replica to a client.
func from(replica string) group {
	f := packet.Flow{Source: netip.MustParseAddrPort(replica), Destination: netip.MustParseAddrPort("10.1.0.9:1000"), Protocol: packet.TCP}
	return group{"from " + replica, [][]byte{packet.Frame{Flow: f}.Marshal()}}
}

// stepped is a fixture that sends packets after every step of a change.
type stepped struct {
	fixture
	groups []group
	after  func() // every step
}

// outcome is what becomes of the packets of a group.
func (x stepped) outcome(g group) (all string) {
	for _, frame := range g.frames {
		v, err := send(x.d.objects.Lb, x.ingress, frame)
		if err != nil {
			x.Fatal(err)
		}
		all += fmt.Sprintf("%v %x\n", v.Action, v.Frame)
	}
	return all
}

// step makes a change. After each of its stores, each group of packets meets the state before it or the one after it, and
// once the one after it never again the one before.
func (x *stepped) step(what string, change func() error) {
	x.Helper()
	before := make([]string, len(x.groups))
	met := make([][]string, len(x.groups))
	for i, g := range x.groups {
		before[i] = x.outcome(g)
	}
	x.after = func() {
		for i, g := range x.groups {
			if is := x.outcome(g); len(met[i]) == 0 || met[i][len(met[i])-1] != is {
				met[i] = append(met[i], is)
			}
		}
	}
	if err := change(); err != nil {
		x.Fatalf("%s: %v", what, err)
	}
	x.after = func() {}
	for i, g := range x.groups {
		after := x.outcome(g)
		if seen := slices.Compact(slices.Concat([]string{before[i]}, met[i], []string{after})); len(seen) > 2 || len(seen) == 2 && seen[1] != after {
			x.Errorf("%s: packets %s met %d states, want the one before it and the one after it:\n%s", what, g.name, len(seen), seen)
		}
	}
}

func (x *stepped) setStep(what string, s lb.Service) {
	x.Helper()
	x.step(what, func() error { return x.d.SetService(x.T.Context(), s) })
}

// steppedBy returns a fixture whose packets may be on their way through the whole test.
func steppedBy(f fixture) *stepped {
	x := &stepped{fixture: f, after: func() {}}
	watch.Steps(x.T, x.d.registry.tables, func(tables.Step) { x.after() })
	return x
}

func newStepped(t *testing.T) *stepped {
	x := steppedBy(newFixture(t, stateless("192.0.2.1:80", lb.NAT, "10.1.0.2:80", "10.1.0.3:80")))
	for _, vip := range []string{"192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80", "192.0.2.4:80"} {
		x.groups = append(x.groups, toService(vip))
	}
	several := toService("192.0.2.3:8000") // of one service, and switched all at once
	for _, vip := range []string{"192.0.2.3:8001", "192.0.2.3:8049"} {
		several.frames = append(several.frames, toService(vip).frames...)
	}
	x.groups = append(x.groups, several, toService("192.0.2.3:8050"), toService("192.0.2.3:8099"))
	for _, replica := range []string{"10.1.0.2:80", "10.1.0.3:80", "10.1.0.4:80", "10.1.0.2:81"} {
		x.groups = append(x.groups, from(replica))
	}
	return x
}

func stateless(vip string, m lb.Mode, replicas ...string) lb.Service {
	s := web(vip, replicas...)
	s.Mode, s.Tracking = m, lb.Stateless
	return s
}

// ranged returns a service with several ports.
func ranged(s lb.Service, last uint16) lb.Service {
	s.EndPort = last
	return s
}

// A change of services is one switch for the packets of each, and none for those of the others.
func TestChangesByStep(t *testing.T) {
	x := newStepped(t)
	first := x.service
	x.setStep("a second service", stateless("192.0.2.2:80", lb.NAT, "10.1.0.2:81"))
	x.setStep("a third one", stateless("192.0.2.3:80", lb.DSR, "10.1.0.3:80", "10.1.0.4:80"))
	x.setStep("a fourth one", stateless("192.0.2.4:80", lb.IPIP, "10.1.0.2:80", "10.1.0.4:80"))
	for round := range 4 { // numbers run out and are used again
		more := stateless("192.0.2.1:80", lb.NAT, "10.1.0.2:80", "10.1.0.3:80", "10.1.0.4:80")
		x.setStep("a replica more", more)
		x.setStep("a table of Maglev", maglev(more))
		more = maglev(more.Clone())
		more.Replicas[1].State = lb.Draining
		x.setStep("one that drains", more)
		more = more.Clone()
		more.Replicas[1].State = lb.Down
		x.setStep("one that is down", more)
		x.setStep("another mode", stateless("192.0.2.1:80", lb.DSR, "10.1.0.3:80", "10.1.0.4:80"))
		x.setStep("as it was", first)
		gone := fmt.Sprintf("192.0.2.%d:80", 2+round%3)
		s := x.d.registry.services[web(gone).VIP].service
		x.step("no "+gone, func() error { return x.d.RemoveService(t.Context(), s.VIP) })
		x.step("reclaim", x.d.registry.reclaim)
		x.step("no "+first.VIP.String(), func() error { return x.d.RemoveService(t.Context(), first.VIP) })
		for _, end := range []uint16{8049, 8099, 8050, 8099} {
			x.setStep(fmt.Sprint("ports to ", end), ranged(stateless("192.0.2.3:8000", lb.DSR, "10.1.0.3:8000", "10.1.0.4:8000"), end))
		}
		x.setStep("fewer ports and another replica", ranged(stateless("192.0.2.3:8000", lb.DSR, "10.1.0.4:8000"), 8049))
		x.setStep("more ports and another replica", ranged(stateless("192.0.2.3:8000", lb.DSR, "10.1.0.3:8000"), 8099))
		x.setStep("one port of them", stateless("192.0.2.3:8050", lb.NAT, "10.1.0.2:82"))
		x.setStep("another replica", ranged(stateless("192.0.2.3:8000", lb.DSR, "10.1.0.4:8000"), 8099))
		for _, vip := range []string{"192.0.2.3:8050", "192.0.2.3:8000"} {
			x.step("no "+vip, func() error { return x.d.RemoveService(t.Context(), web(vip).VIP) })
		}
		x.setStep("the first again", first)
		x.setStep(gone+" again", s)
	}
}

// An audit stores nothing where nobody has changed anything: what it rewrites, packets may be reading.
func TestAuditByStep(t *testing.T) {
	x := newStepped(t)
	x.setStep("a tunnel", stateless("192.0.2.4:80", lb.IPIP, "10.1.0.2:80"))
	x.setStep("tracked", tracked(maglev(web("192.0.2.2:80", "10.1.0.3:81", "10.1.0.4:81"))))
	x.setStep("in transition", tracked(maglev(web("192.0.2.2:80", "10.1.0.4:81"))))
	stores := 0
	x.after = func() { stores++ }
	for range 2 {
		if v, err := x.d.Verify(t.Context(), true); v.Found > 0 || err != nil {
			t.Fatal(v, err)
		}
	}
	if stores != 0 {
		t.Errorf("%d stores", stores)
	}
}

// A replica moves to another next hop: MAC, interface and source of the tunnel change in one switch, also when it moves again
// at once.
func TestHopsByStep(t *testing.T) {
	x := newStepped(t)
	side := testns.Veth(t, "side", "10.2.0.1/24")
	testns.Neighbour(t, side, "10.2.0.9")
	x.groups = []group{toService("192.0.2.1:80"), toService("192.0.2.4:80")}
	x.setStep("one replica", stateless("192.0.2.1:80", lb.NAT, "10.1.0.2:80"))
	x.setStep("a tunnel", stateless("192.0.2.4:80", lb.IPIP, "10.1.0.2:80"))
	refresh := func() error { return x.d.refresh(nexthop.Everything()) }
	route := netlink.Route{Dst: netlink.NewIPNet(net.IPv4(10, 1, 0, 2)), Gw: netip.MustParseAddr("10.2.0.9").AsSlice(), LinkIndex: side.Attrs().Index}
	for round := range byte(3) {
		testns.SetNeighbour(t, x.ingress, netip.MustParseAddr("10.1.0.2"), lb.MAC{2, 0, 0, 1, round, 9})
		x.step("another MAC address", refresh)
		if err := netlink.RouteAdd(&route); err != nil {
			t.Fatal(err)
		}
		x.step("by a gateway", refresh)
		if err := netlink.RouteDel(&route); err != nil {
			t.Fatal(err)
		}
		x.step("and back", refresh)
	}
	readers := watch.Steps(t, x.d.registry.tables, nil)
	for last := range byte(4) {
		testns.SetNeighbour(t, x.ingress, netip.MustParseAddr("10.1.0.2"), lb.MAC{2, 0, 0, 2, 0, last})
		if err := refresh(); err != nil {
			t.Fatal(err)
		}
	}
	if stores, waits := readers.End(); stores == 0 || waits == 0 {
		t.Errorf("%d stores and %d waits: nothing was tried", stores, waits)
	}
}

// Flows that are established stay with their replicas at every step of changes and of time.
func TestFlowsStayByStep(t *testing.T) {
	x := steppedBy(newFixture(t, tracked(maglev(web("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80", "10.1.0.4:80")))))
	x.groups = []group{toService("192.0.2.1:80")}
	established := x.outcome(x.groups[0])
	for round := range 8 {
		s := x.service.Clone()
		s.Replicas[round%3].State = lb.Draining
		if round%4 == 3 {
			s.Scheduler, s.TableSize = lb.Modulo, s.Active()
		}
		x.setStep(fmt.Sprint("round ", round), s)
		x.step("a second", func() error { return x.d.sweep(time.Second) })
		if x.outcome(x.groups[0]) != established {
			t.Fatalf("round %d: a flow has moved", round)
		}
	}
	for port := range uint16(40) {
		x.send(port+1, true)
	}
	less := x.service.Clone()
	less.Replicas = less.Replicas[:2]
	x.groups = nil
	x.setStep("a replica less", less)
	x.step("reclaim", x.d.registry.reclaim)
	x.setStep("another in its place", x.service)
}

// A packet that has read the tables before a change, and is slow, records its flow by them after it. The sweep waits
// for it: it does not settle the slot of that flow.
func TestSweepWaitsForPackets(t *testing.T) {
	x := newFixture(t, tracked(maglev(web("192.0.2.1:80", "10.1.0.2:80", "10.1.0.3:80"))))
	drain := func(which int) {
		s := x.service.Clone()
		s.Replicas[which].State = lb.Draining
		x.set(s)
	}
	drain(0)
	var port uint16
	var with netip.Addr
	var late tables.Record
	var record bpf.Record
	for ; record == 0; port++ { // until the slot is one in transition
		with = x.send(port+1, true)
		x.d.registry.tables.Records(func(p tables.Record, r bpf.Record) { late, record = p, r })
	}
	if !late.Swap(record, 0) {
		t.Fatal("there is another packet")
	}
	drain(1)
	readers := watch.Steps(t, x.d.registry.tables, func(s tables.Step) {
		if s.Word == nil { // while it was waited
			late.Swap(0, record)
		}
	})
	x.wait(time.Second)
	readers.End()
	late.Swap(0, record) // if it was not waited
	if got := x.send(port, false); got != with {
		t.Errorf("the flow is with %v, was with %v", got, with)
	}
}
