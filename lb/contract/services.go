package contract

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// testServices tests what is set, replaced, removed and listed.
func testServices(t *testing.T, open func(t *testing.T) Harness) {
	t.Run("empty", func(t *testing.T) { testEmpty(newFixture(t, open)) })
	t.Run("round trip", func(t *testing.T) { testRoundTrip(newFixture(t, open)) })
	t.Run("copies", func(t *testing.T) { testCopies(newFixture(t, open)) })
	t.Run("replace", func(t *testing.T) { testReplace(newFixture(t, open)) })
	t.Run("remove", func(t *testing.T) { testRemove(newFixture(t, open)) })
	t.Run("move a replica", func(t *testing.T) { testMoveReplica(newFixture(t, open)) })
}

func testEmpty(b fixture) {
	equal(b.t, "services", b.services(), nil)
	equal(b.t, "interfaces", b.interfaces(), nil)
	c := b.counters()
	want := make(map[lb.Reason]lb.Count)
	for _, r := range lb.Reasons() {
		want[r] = lb.Count{}
	}
	equal(b.t, "reasons", c.Reasons, want)
	equal(b.t, "counted", moved(lb.Counters{}, c), lb.Counters{})
}

// variety returns services that differ in everything, sorted by VIP.
func variety() []lb.Service {
	a := ipv4.service(1, packet.TCP, ipv4.on(West, 3, 8080), ipv4.on(West, 1, 8080), ipv4.on(East, 2, 1))
	b := ipv4.service(1, packet.UDP, ipv4.on(West, 3, 8080))
	b.Hash = lb.ToeplitzHash
	c := ipv4.service(2, packet.TCP, ipv4.on(West, 3, 8081), ipv4.on(West, 4, 65535))
	c.Scheduler, c.TableSize, c.Seed = lb.Maglev, 251, 0xdeadbeef
	c.Replicas[1].Weight = 65535
	d := ipv4.service(3, packet.TCP, ipv4.on(West, 3, 80), ipv4.on(West, 5, 80), ipv4.on(West, 6, 80))
	d.EndPort = 99
	d.Mode, d.Tracking, d.Idle = lb.DSR, lb.TrackChanges, lb.MaxIdle
	d = with(d, lb.Draining, 1)
	e := ipv4.service(4, packet.UDP, ipv4.on(West, 3, 80), ipv6.on(West, 3, 80))
	e.Mode, e.Tracking, e.Idle = lb.IPIP, lb.TrackAlways, lb.MinIdle
	e = with(e, lb.Down, 0)
	f := ipv6.service(1, packet.TCP, ipv6.on(West, 3, 8080), ipv6.on(Narrow, 3, 8080))
	g := ipv6.service(2, packet.UDP)
	g.Scheduler, g.TableSize = lb.Maglev, 13
	h := ipv6.service(3, packet.TCP, ipv6.on(West, 3, 80), ipv6.on(West, 4, 80))
	h.Mode, h.Scheduler, h.TableSize, h.Tracking, h.Idle = lb.IPIP, lb.Maglev, 13, lb.TrackAlways, 90*time.Second
	h = with(h, lb.Draining, 0, 1)
	h.EndPort = 65535
	h.Encapsulation, h.TunnelPort, h.TunnelSources = lb.GUE, lb.GUEPort, netip.MustParsePrefix("2001:db8:9::/64")
	e.Encapsulation, e.TunnelPort = lb.FOU, 5555
	h.SourceRanges = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("::/0"), netip.MustParsePrefix("2001:db8::/32")}
	h.RateLimit = lb.RateLimit{Packets: lb.MaxPacketRate, NewFlows: lb.MaxFlowRate, Burst: lb.MaxBurst}
	a.SourceRanges = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("198.51.100.7/32"), netip.MustParsePrefix("2001:db8::/126")}
	b.RateLimit = lb.RateLimit{NewFlows: 1, Burst: lb.MinBurst}
	b.Tracking, b.Idle = lb.TrackAlways, lb.MinIdle
	return []lb.Service{a, b, c, d, e, f, g, h}
}

func testRoundTrip(b fixture) {
	want := variety()
	for _, i := range []int{3, 1, 7, 4, 0, 6, 2, 5} {
		b.set(want[i])
	}
	equal(b.t, "services", b.services(), want)
}

func testCopies(b fixture) {
	s := ipv4.service(1, packet.TCP, ipv4.on(West, 1, 80), ipv4.on(West, 2, 80))
	want := s.Clone()
	b.set(s)
	s.Replicas[0] = lb.Replica{}
	equal(b.t, "services after the argument was written to", b.services(), []lb.Service{want})
	b.services()[0].Replicas[0] = lb.Replica{}
	equal(b.t, "services after the result was written to", b.services(), []lb.Service{want})
	e := b.explain(lb.Probe{Flow: flowTo(want.VIP)})
	if e.Service == nil {
		b.t.Fatal("explain names no service")
	}
	e.Service.Replicas[0] = lb.Replica{}
	equal(b.t, "services after the explanation was written to", b.services(), []lb.Service{want})
}

// flowTo returns a flow of a known client to a VIP.
func flowTo(v lb.VIP) packet.Flow {
	f := familyOf(v.Address.Addr())
	return packet.Flow{Source: f.on(East, 1, 40000), Destination: v.Address, Protocol: v.Protocol}
}

// reaches sends a packet to the VIP, which must come out to the replica given.
func (b fixture) reaches(v lb.VIP, r lb.Replica) {
	b.t.Helper()
	p := Packet{Flow: flowTo(v), TTL: 64}
	before := b.counters()
	b.send(East, p.Frame())
	want := newTally()
	want.addForwarded(v, r.Address, len(p.Frame()))
	equal(b.t, "counters moved", moved(before, b.counters()), want.Counters)
}

// isNotOurs sends a packet, which must be passed untouched.
func (b fixture) isNotOurs(f packet.Flow) {
	b.t.Helper()
	frame := Packet{Flow: f, TTL: 64}.Frame()
	before := b.counters()
	v := b.send(East, frame)
	want := newTally()
	want.add(lb.NotOurs, len(frame))
	equal(b.t, "counters moved", moved(before, b.counters()), want.Counters)
	if v.Action != oracle.Pass || !slices.Equal(v.Frame, frame) {
		b.t.Errorf("%v: %v %x, want it passed untouched", f, v.Action, v.Frame)
	}
}

func testReplace(b fixture) {
	old := ipv4.service(1, packet.TCP, ipv4.on(West, 1, 80))
	other := ipv4.service(2, packet.TCP, ipv4.on(West, 2, 80))
	b.set(old, other)
	b.reaches(old.VIP, old.Replicas[0])
	replacement := ipv4.service(1, packet.TCP, ipv4.on(West, 3, 8080))
	replacement.Scheduler, replacement.TableSize = lb.Maglev, 13
	b.set(replacement)
	equal(b.t, "services", b.services(), []lb.Service{replacement, other})
	b.reaches(replacement.VIP, replacement.Replicas[0])
	b.reaches(other.VIP, other.Replicas[0])
	b.isNotOurs(packet.Flow{Source: old.Replicas[0].Address, Destination: ipv4.on(East, 1, 9), Protocol: packet.TCP})
	b.set(replacement) // once more: nothing but itself
	equal(b.t, "services", b.services(), []lb.Service{replacement, other})
	b.reaches(replacement.VIP, replacement.Replicas[0])
}

func testRemove(b fixture) {
	s := ipv4.service(1, packet.TCP, ipv4.on(West, 1, 80))
	other := ipv4.service(1, packet.UDP, ipv4.on(West, 1, 80))
	b.set(s, other)
	b.remove(s.VIP)
	equal(b.t, "services", b.services(), []lb.Service{other})
	b.becomes(Packet{Flow: flowTo(s.VIP), TTL: 64}.Frame(), lb.ForThisHost, "another service has the address")
	b.isNotOurs(packet.Flow{Source: s.Replicas[0].Address, Destination: ipv4.on(East, 1, 9), Protocol: packet.TCP})
	b.reaches(other.VIP, other.Replicas[0])
	b.set(s)
	b.reaches(s.VIP, s.Replicas[0])
}

// testMoveReplica gives a nat replica to another VIP after its own no longer has it.
func testMoveReplica(b fixture) {
	r := ipv4.on(West, 1, 80)
	b.set(ipv4.service(1, packet.TCP, r), ipv4.service(2, packet.TCP))
	b.set(ipv4.service(1, packet.TCP), ipv4.service(2, packet.TCP, r))
	b.reaches(ipv4.vip(2, packet.TCP), lb.Replica{Address: r})
	p := Packet{Flow: packet.Flow{Source: r, Destination: ipv4.on(East, 1, 9), Protocol: packet.TCP}, TTL: 64}
	v := b.send(West, p.Frame())
	p.Flow.Source = ipv4.vip(2, packet.TCP).Address
	equal(b.t, "the replica's answer", v.Frame, sentBy(p, East, 1).Frame())
}
