package datapath

import (
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/contract"
	"lbctl/lb/nexthop"
	"lbctl/lb/oracle"
	"lbctl/lb/tables"
	"lbctl/lb/testns"
	"lbctl/rss/packet"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// explained polls until a packet to the VIP has a reason and a next hop as wanted.
func explained(t *testing.T, d *Datapath, what string, want func(lb.Explanation) bool) {
	t.Helper()
	flow := packet.Flow{Source: netip.MustParseAddrPort("198.51.100.7:1234"), Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP}
	var x lb.Explanation
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var err error
		if x, err = d.Explain(lb.Probe{Flow: flow}); err != nil {
			t.Fatal(err)
		}
		if want(x) {
			return
		}
	}
	t.Fatalf("%s: still %+v", what, x)
}

// Next hops follow the kernel's routes, links and neighbours by themselves.
func TestNextHopsFollow(t *testing.T) {
	inNamespace(t)
	d := open(t, Options{})
	if err := d.SetService(t.Context(), web("192.0.2.1:80", "10.1.0.2:80")); err != nil {
		t.Fatal(err)
	}
	is := func(r lb.Reason) func(lb.Explanation) bool {
		return func(x lb.Explanation) bool { return x.Reason == r }
	}
	explained(t, d, "no link", is(lb.NoRoute))
	l := testns.Veth(t, "up", "10.1.0.1/24")
	explained(t, d, "a link with a route", is(lb.NeighbourMissing))
	mac := testns.Neighbour(t, l, "10.1.0.2")
	explained(t, d, "a neighbour", func(x lb.Explanation) bool {
		return x.Reason == lb.Forwarded && x.NextHop.Destination == mac && x.NextHop.Interface == "up"
	})
	moved := net.HardwareAddr{2, 0, 0, 0, 9, 9}
	n := netlink.Neigh{LinkIndex: l.Attrs().Index, State: netlink.NUD_PERMANENT, IP: net.IPv4(10, 1, 0, 2), HardwareAddr: moved}
	if err := netlink.NeighSet(&n); err != nil {
		t.Fatal(err)
	}
	explained(t, d, "the neighbour moved", func(x lb.Explanation) bool {
		return x.Reason == lb.Forwarded && x.NextHop.Destination == lb.MAC(moved)
	})
	other := testns.Veth(t, "side", "10.2.0.1/24")
	testns.Neighbour(t, other, "10.2.0.9")
	route := netlink.Route{Dst: &net.IPNet{IP: net.IPv4(10, 1, 0, 2).To4(), Mask: net.CIDRMask(32, 32)}, Gw: net.IPv4(10, 2, 0, 9)}
	if err := netlink.RouteAdd(&route); err != nil {
		t.Fatal(err)
	}
	explained(t, d, "a route by a gateway", func(x lb.Explanation) bool {
		return x.Reason == lb.Forwarded && x.NextHop.Interface == "side" && x.NextHop.Destination[5] == 9
	})
	if err := netlink.LinkSetDown(other); err != nil {
		t.Fatal(err)
	}
	explained(t, d, "the gateway's link is down", func(x lb.Explanation) bool { return x.NextHop.Interface == "up" })
}

// Services that are set one after the other see one state of the network, until news of it come.
func TestNextHopsOfOneChange(t *testing.T) {
	x := newFixture(t, stateless("192.0.2.1:80", lb.NAT, "10.1.0.2:80"))
	hop := func(vip string) lb.MAC {
		s := stateless(vip, lb.DSR, "10.1.0.2:80")
		if err := x.d.SetService(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		hops, err := x.d.NextHops([]lb.Service{s})
		if err != nil {
			t.Fatal(err)
		}
		return hops[0][0].Destination
	}
	lately := &x.d.hops.lately
	lately.used, lately.since = time.Now().Add(time.Hour), time.Now().Add(time.Hour)
	before, after := hop("192.0.2.2:80"), lb.MAC{2, 0, 0, 0, 9, 9}
	lately.used = time.Now().Add(time.Hour)
	testns.SetNeighbour(t, x.ingress, netip.MustParseAddr("10.1.0.2"), after)
	if got := hop("192.0.2.3:80"); got != before {
		t.Errorf("the neighbours are listed for each service: %v, want %v", got, before)
	}
	if err := x.d.refresh(nexthop.Everything()); err != nil {
		t.Fatal(err)
	}
	if got := hop("192.0.2.4:80"); got != after {
		t.Errorf("after the news a new replica has %v, want %v", got, after)
	}
}

// The next hops of replicas are listed with what the kernel knows of each neighbour.
func TestNextHopsListed(t *testing.T) {
	inNamespace(t)
	l := testns.Veth(t, "up", "10.1.0.1/24")
	mac := testns.Neighbour(t, l, "10.1.0.2")
	route := netlink.Route{Dst: &net.IPNet{IP: net.IPv4(10, 9, 0, 0).To4(), Mask: net.CIDRMask(16, 32)}, Gw: net.IPv4(10, 1, 0, 2)}
	if err := netlink.RouteAdd(&route); err != nil {
		t.Fatal(err)
	}
	d := open(t, Options{})
	s := web("192.0.2.1:80", "10.1.0.2:80", "10.9.0.1:80", "10.1.0.3:80", "10.5.0.1:80")
	if err := d.SetService(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	failed := netlink.Neigh{LinkIndex: l.Attrs().Index, State: netlink.NUD_FAILED, IP: net.IPv4(10, 1, 0, 3), Flags: netlink.NTF_USE}
	if err := netlink.NeighSet(&failed); err != nil {
		t.Fatal(err)
	}
	hops, err := d.NextHops([]lb.Service{s})
	if err != nil {
		t.Fatal(err)
	}
	got := map[netip.AddrPort]lb.ReplicaHop{}
	for n, r := range s.Replicas {
		got[r.Address] = hops[0][n]
	}
	up := lb.NextHop{Interface: "up", Index: l.Attrs().Index, Source: lb.MAC(l.Attrs().HardwareAddr), Destination: mac}
	gateway := netip.MustParseAddr("10.1.0.2")
	for address, want := range map[string]lb.ReplicaHop{
		"10.1.0.2:80": {NextHop: up, Neighbour: gateway, State: lb.NeighbourPermanent, MTU: 1500},
		"10.9.0.1:80": {NextHop: up, Neighbour: gateway, State: lb.NeighbourPermanent, MTU: 1500},
		"10.5.0.1:80": {},
	} {
		if hop := got[netip.MustParseAddrPort(address)]; hop != want {
			t.Errorf("%s: %+v, want %+v", address, hop, want)
		}
	}
	missing := got[netip.MustParseAddrPort("10.1.0.3:80")]
	if missing.Destination != (lb.MAC{}) || missing.State != lb.NeighbourIncomplete && missing.State != lb.NeighbourFailed {
		t.Errorf("of a neighbour that does not answer: %+v", missing)
	}
}

// Where rules ask for the interface that packets come in on, next hops are those of the attached ones: they follow rules, and
// what is attached.
func TestNextHopsFollowRules(t *testing.T) {
	inNamespace(t)
	testns.Sysctl(t, "net/ipv4/ip_forward", "1")
	d := open(t, Options{})
	if err := d.SetService(t.Context(), web("192.0.2.1:80", "10.1.0.2:80")); err != nil {
		t.Fatal(err)
	}
	testns.Veth(t, "cl", "10.3.0.1/24")
	testns.Neighbour(t, testns.Veth(t, "up", "10.1.0.1/24"), "10.1.0.2")
	side := testns.Veth(t, "side", "10.2.0.1/24")
	testns.Neighbour(t, side, "10.2.0.9")
	route := netlink.Route{Gw: net.IPv4(10, 2, 0, 9), LinkIndex: side.Attrs().Index, Table: 100}
	if err := netlink.RouteAdd(&route); err != nil {
		t.Fatal(err)
	}
	by := func(name string) func(lb.Explanation) bool {
		return func(x lb.Explanation) bool { return x.NextHop.Interface == name }
	}
	explained(t, d, "no rule", by("up"))
	rule := netlink.NewRule()
	rule.IifName, rule.Table, rule.Priority = "cl", 100, 10
	if err := netlink.RuleAdd(rule); err != nil {
		t.Fatal(err)
	}
	explained(t, d, "a rule for what is not attached", by("up"))
	if _, err := d.Attach(t.Context(), "cl", lb.Native); err != nil {
		t.Fatal(err)
	}
	explained(t, d, "attached", by("side"))
	if err := netlink.RuleDel(rule); err != nil {
		t.Fatal(err)
	}
	explained(t, d, "the rule is gone", by("up"))
	if err := netlink.RuleAdd(rule); err != nil {
		t.Fatal(err)
	}
	explained(t, d, "the rule is there again", by("side"))
	if err := d.Detach(t.Context(), "cl"); err != nil {
		t.Fatal(err)
	}
	explained(t, d, "detached", by("up"))
}

// A replica whose address becomes one of this host's is in the condition, while it is.
func TestUnfitFollows(t *testing.T) {
	inNamespace(t)
	l := testns.Veth(t, "up", "10.1.0.1/24")
	d := open(t, Options{})
	if err := d.SetService(t.Context(), web("192.0.2.1:80", "10.1.0.2:80")); err != nil {
		t.Fatal(err)
	}
	becomes := func(unfit int) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); len(condition(t, d).Unfit) != unfit; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the condition is still %+v", condition(t, d))
			}
		}
	}
	becomes(0)
	testns.AddAddress(t, l, "10.1.0.2/32")
	becomes(1)
	own, err := netlink.ParseAddr("10.1.0.2/32")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrDel(l, own); err != nil {
		t.Fatal(err)
	}
	becomes(0)
}

// tunnelled opens a datapath with a service of mode ipip whose replica is on a link, and returns a packet to it of so many bytes.
func tunnelled(t *testing.T, bytes int) (d *Datapath, ingress int, frame []byte) {
	t.Helper()
	indexes := placed(t)
	d = open(t, Options{manualClock: true})
	s := web("192.0.2.1:80", "10.0.0.1:80")
	s.Mode = lb.IPIP
	if err := d.SetService(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	f := packet.Frame{DontFragment: true, Payload: make([]byte, bytes-40), Flow: packet.Flow{
		Source: netip.MustParseAddrPort("198.51.100.1:1234"), Destination: s.VIP.Address, Protocol: packet.TCP,
	}}
	return d, indexes[contract.East], f.Marshal()
}

// ticks is the time at which packets note what a router tells them.
func ticks(t *testing.T) uint64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return uint64(now.Nano()) >> 30
}

// What a router has told of the path to a replica is believed for ten minutes, by the program and by explain.
func TestLearnedMTUExpires(t *testing.T) {
	d, ingress, frame := tunnelled(t, 1400)
	life, ticks := uint64(oracle.PathMTULife>>30), ticks(t)
	if ticks <= life+1 {
		t.Skip("the machine has not been up for long enough to have learnt anything so long ago")
	}
	id := d.registry.services[web("192.0.2.1:80").VIP].ids[netip.MustParseAddrPort("10.0.0.1:80")]
	word := &d.registry.tables.Replicas.Row(id).PathMtu
	for _, c := range []struct {
		age  uint64 // of what was told
		want lb.Reason
	}{
		{0, lb.TooBigAnswered}, {life / 2, lb.TooBigAnswered}, {life + 1, lb.Forwarded}, {ticks, lb.Forwarded},
	} {
		atomic.StoreUint64(word, (ticks-c.age)<<16|1300)
		d.registry.tables.ShortenReplica(id)
		x, err := d.Explain(lb.Probe{Ingress: ingress, Frame: frame})
		if err != nil || x.Reason != c.want {
			t.Errorf("told %d ticks ago: explained as %v, %v, want %v", c.age, x.Reason, err, c.want)
		}
		before := reasons(t, d)[c.want].Packets
		if _, err := send(d.Program(), ingress, frame); err != nil {
			t.Fatal(err)
		}
		if reasons(t, d)[c.want].Packets != before+1 {
			t.Errorf("told %d ticks ago: not %v", c.age, c.want)
		}
		mustAudit(t, d)
		if short, _ := d.registry.tables.Short.Word(id); (short.Hop != 0) != (c.want == lb.Forwarded) {
			t.Errorf("told %d ticks ago: packets read %+v", c.age, short)
		}
	}
}

func reasons(t *testing.T, d *Datapath) map[lb.Reason]lb.Count {
	t.Helper()
	all, err := d.Counters()
	if err != nil {
		t.Fatal(err)
	}
	return all.Reasons
}

// Where a driver leaves no room for an outer header the packet is dropped as no_headroom, also where there is some room.
func TestNoHeadroom(t *testing.T) {
	d, ingress, frame := tunnelled(t, 100)
	for metadata, want := range map[int]lb.Reason{0: lb.Forwarded, 32: lb.Forwarded, 212: lb.NoHeadroom, 216: lb.NoHeadroom} {
		before := reasons(t, d)[want].Packets
		in := slices.Concat(make([]byte, metadata), frame) // metadata takes of the room before the packet (net/bpf/test_run.c)
		context := xdpMD{Data: uint32(metadata), DataEnd: uint32(len(in)), Ingress: uint32(ingress)}
		run := ebpf.RunOptions{Data: in, DataOut: make([]byte, len(in)+256), Context: context}
		verdict, err := d.Program().Run(&run)
		if err != nil {
			t.Fatalf("%d bytes of metadata: %v", metadata, err)
		}
		if dropped := actions()[verdict] == oracle.Drop; reasons(t, d)[want].Packets != before+1 || dropped != (want == lb.NoHeadroom) {
			t.Errorf("%d bytes of metadata: %v, not %v", metadata, actions()[verdict], want)
		}
	}
}

// hopTo returns the next hop of a replica of 192.0.2.1:80.
func hopTo(t *testing.T, d *Datapath, replica string) (next tables.Hop) {
	t.Helper()
	err := d.locked(func() error {
		next = d.registry.tables.Hop(d.registry.services[web("192.0.2.1:80").VIP].ids[netip.MustParseAddrPort(replica)])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// A change of a link's MTU is told by a message about the link alone.
func TestLinkSizeFollows(t *testing.T) {
	inNamespace(t)
	l := testns.Veth(t, "up", "10.1.0.1/24")
	d := open(t, Options{})
	if err := d.SetService(t.Context(), web("192.0.2.1:80", "10.1.0.2:80")); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetMTU(l, 1400); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); hopTo(t, d, "10.1.0.2:80").Mtu != 1400; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the next hop is still %+v", hopTo(t, d, "10.1.0.2:80"))
		}
	}
}

// The next hops of several replicas follow their neighbours at once.
func TestNeighboursFollow(t *testing.T) {
	inNamespace(t)
	d := open(t, Options{manualClock: true})
	l := testns.Veth(t, "up", "10.1.0.1/24")
	replicas := []string{"10.1.0.2:80", "10.1.0.3:80", "10.1.0.4:80"}
	if err := d.SetService(t.Context(), web("192.0.2.1:80", replicas...)); err != nil {
		t.Fatal(err)
	}
	for _, r := range replicas {
		testns.Neighbour(t, l, netip.MustParseAddrPort(r).Addr().String())
	}
	follower{d}.Refresh(nexthop.Everything())
	for _, r := range replicas {
		if next := hopTo(t, d, r); next.State != uint8(bpf.LbHopStateHOP_RESOLVED) {
			t.Errorf("the next hop of %s: %+v", r, next)
		}
	}
}

// A link that comes, is renamed and goes, and a replica's next hop, are told; and the stream ends with the datapath.
func TestEvents(t *testing.T) {
	inNamespace(t)
	d := open(t, Options{})
	if err := d.SetService(t.Context(), web("192.0.2.1:80", "10.1.0.2:80")); err != nil {
		t.Fatal(err)
	}
	await := func(what string, is func(lb.Event) bool) {
		t.Helper()
		for timeout := time.After(10 * time.Second); ; {
			select {
			case e := <-d.Events():
				if is(e) {
					return
				}
			case <-timeout:
				t.Fatalf("%s is not told in 10 s", what)
			}
		}
	}
	l := testns.Veth(t, "late", "10.1.0.1/24")
	await("a link", func(e lb.Event) bool {
		return e.Kind == lb.LinkChanged && e.Interface == "late" && e.Index == l.Attrs().Index
	})
	testns.Neighbour(t, l, "10.1.0.2")
	await("a next hop", func(e lb.Event) bool {
		return e.Kind == lb.NextHopChanged && e.Replica.String() == "10.1.0.2:80" && e.Resolved && e.Index == l.Attrs().Index
	})
	if err := netlink.LinkSetName(l, "renamed"); err != nil {
		t.Fatal(err)
	}
	await("its name", func(e lb.Event) bool { return e.Kind == lb.LinkChanged && e.Interface == "renamed" })
	if err := netlink.LinkDel(l); err != nil {
		t.Fatal(err)
	}
	await("its end", func(e lb.Event) bool { return e.Kind == lb.LinkGone && e.Interface == "renamed" })
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for range d.Events() {
	}
}

// A reader that does not read loses events, and is told so.
func TestEventsAreNotWaitedFor(t *testing.T) {
	e := &events{to: make(chan lb.Event, 3)}
	for n := range 10 {
		e.tell(lb.Event{Kind: lb.LinkChanged, Index: n})
	}
	for n := range 3 {
		if got := <-e.to; got.Index != n {
			t.Errorf("event %d is %+v", n, got)
		}
	}
	e.tell(lb.Event{Kind: lb.LinkGone})
	if first, second := <-e.to, <-e.to; first.Kind != lb.EventsLost || second.Kind != lb.LinkGone {
		t.Errorf("told %+v and %+v", first, second)
	}
}
