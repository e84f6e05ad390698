package contract

import (
	"net/netip"
	"testing"
	"time"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// testLimits tests source ranges and rates: who gets to the replicas of a service, and how much.
func testLimits(t *testing.T, open func(t *testing.T) Harness) {
	for _, f := range families() {
		t.Run(f.name, func(t *testing.T) {
			for name, test := range map[string]func(fixture, family){
				"clients": testClients, "about a flow": testAboutFlows, "other ways": testNotClients, "ranges change": testRangesChange,
				"packets": testPacketRate, "flows": testFlowRate, "flows of udp": testFlowRateUDP, "both": testBothRates,
				"in transition": testRateInTransition, "rates change": testRatesChange, "high": testHighRate,
			} {
				t.Run(name, func(t *testing.T) { test(newFixture(t, open), f) })
			}
		})
	}
	t.Run("range limit", func(t *testing.T) { testRangeLimit(newFixture(t, open)) })
}

// clientRange is the hosts 16 to 31 on East.
func (f family) clientRange() netip.Prefix {
	a := f.on(East, 16, 0).Addr()
	return netip.PrefixFrom(a, a.BitLen()-4)
}

// limited returns a service of four replicas with a source range in which the client of flowTo is not, and others around it.
func (f family) limited(p packet.Protocol, t lb.Tracking) lb.Service {
	s := f.remembering(p, lb.Modulo, t)
	other := ipv6
	if !f.v4 {
		other = ipv4
	}
	single := f.on(East, 40, 0).Addr()
	s.SourceRanges = []netip.Prefix{
		netip.PrefixFrom(single, single.BitLen()), f.clientRange(), netip.PrefixFrom(f.clientRange().Addr(), single.BitLen()-2),
		other.clientRange(), netip.PrefixFrom(f.off(1, 0).Addr(), single.BitLen()-8).Masked(),
	}
	return s
}

// host returns the flow of the client with that number to a service.
func (f family) host(s lb.Service, host byte) packet.Flow {
	flow := flowTo(s.VIP)
	flow.Source = f.on(East, host, 40000)
	return flow
}

// inside and outside are clients in limited's ranges, and beside them.
func inside() []byte  { return []byte{16, 17, 19, 20, 31, 40} }
func outside() []byte { return []byte{1, 15, 32, 39, 41, 254} }

func testClients(b fixture, f family) {
	for _, t := range []lb.Tracking{lb.Stateless, lb.TrackChanges, lb.TrackAlways} {
		s := f.limited(packet.TCP, t)
		b.set(s)
		for _, flags := range []uint8{flagSYN, flagACK} {
			for _, host := range inside() {
				if b.arrives(f.host(s, host), flags) == (netip.AddrPort{}) {
					b.t.Errorf("%v: host %d does not get to a replica", t, host)
				}
			}
			for _, host := range outside() {
				b.becomes(packetOf(f.host(s, host), flags).Frame(), lb.SourceDenied, "a packet is from elsewhere")
			}
		}
		if t == lb.TrackAlways {
			if n := recorded(b.flows(s.VIP)); n != uint64(len(inside())) {
				b.t.Errorf("%d flows are recorded, want %d", n, len(inside()))
			}
		}
		b.remove(s.VIP)
	}
}

// recorded counts the records of a service.
func recorded(f lb.Flows) (n uint64) {
	for _, r := range f.Replicas {
		n += r.Established + r.HalfOpen
	}
	return n
}

// testAboutFlows: later fragments, and errors about a flow, are those of its client, whoever sends the error.
func testAboutFlows(b fixture, f family) {
	s := f.limited(packet.TCP, lb.TrackChanges)
	b.set(s)
	of := func(host byte) Packet {
		p := packetOf(f.host(s, host), flagACK)
		p.Payload = make([]byte, 80)
		return p
	}
	b.becomes(first(1)(of(1)), lb.SourceDenied, "a first fragment is from elsewhere")
	b.becomes(later(1)(of(1)), lb.SourceDenied, "a later fragment is from elsewhere")
	for name, frame := range map[string][]byte{"first": first(2)(of(17)), "later": later(2)(of(17)), "error": quote{}.build(of(17))} {
		if v := b.send(East, frame); name != "later" && v.Action != oracle.Redirect {
			b.t.Errorf("%s: %v", name, v.Action)
		}
	}
	if v := b.send(East, later(2)(of(17))); v.Action != oracle.Redirect {
		b.t.Errorf("later fragment: %v", v.Action)
	}
	b.becomes(quote{}.build(of(1)), lb.SourceDenied, "an error is about a flow from elsewhere")
}

// testNotClients: what goes another way is not looked at.
func testNotClients(b fixture, f family) {
	s := f.limited(packet.TCP, lb.TrackChanges)
	s.RateLimit = lb.RateLimit{Packets: 1, NewFlows: 1, Burst: time.Second}
	b.set(s)
	denied := f.host(s, 1)
	reply := packetOf(packet.Flow{Source: s.Replicas[0].Address, Destination: denied.Source, Protocol: packet.TCP}, flagACK)
	b.becomes(reply.Frame(), lb.Returned, "a replica answers a client from elsewhere")
	b.becomes(reply.Frame(), lb.Returned, "... and again")
	p := packetOf(denied, flagACK)
	b.becomes(echo(p), lb.EchoAnswered, "the VIP is asked for an echo")
	p.TTL = 1
	b.becomes(p.Frame(), lb.TTLExpired, "a TTL ends before")
}

func testRangesChange(b fixture, f family) {
	s := f.limited(packet.TCP, lb.TrackAlways)
	b.set(s)
	b.becomes(packetOf(f.host(s, 1), flagSYN).Frame(), lb.SourceDenied, "a packet is from elsewhere")
	all := netip.PrefixFrom(f.host(s, 0).Source.Addr(), 0).Masked()
	wider := s.Clone()
	wider.SourceRanges = append(wider.SourceRanges, all)
	b.set(wider)
	with := b.arrives(f.host(s, 1), flagSYN)
	b.goes(f.host(s, 1), flagACK, with, "all are clients")
	equal(b.t, "services", b.services(), []lb.Service{wider.Sorted()})
	b.set(s)
	b.becomes(packetOf(f.host(s, 1), flagACK).Frame(), lb.SourceDenied, "a flow has begun and its client is none any more")
	open := s.Clone()
	open.SourceRanges = nil
	b.set(open)
	b.goes(f.host(s, 1), flagACK, with, "all are clients again")
}

// passes sends n packets of a flow, all of which must go to a replica, and then one that must not.
func (b fixture) passes(n int, of packet.Flow, flags uint8, then lb.Reason, why string) {
	b.t.Helper()
	for i := range n {
		f := of
		if flags == flagSYN || f.Protocol == packet.UDP { // another one
			f.Source = withPort(f.Source, f.Source.Port()+uint16(i))
		}
		if b.arrives(f, flags) == (netip.AddrPort{}) {
			b.t.Errorf("%s: packet %d of %d does not get to a replica", why, i+1, n)
		}
	}
	of.Source = withPort(of.Source, of.Source.Port()+uint16(n))
	if e := b.explain(lb.Probe{Frame: packetOf(of, flags).Frame()}); e.Reason != then {
		b.t.Errorf("%s: one more is explained as %v, want %v", why, e.Reason, then)
	}
	b.becomes(packetOf(of, flags).Frame(), then, why+", and one more comes")
}

// rated returns a service with rates.
func (f family) rated(p packet.Protocol, t lb.Tracking, packets, flows uint32, burst time.Duration) lb.Service {
	s := f.remembering(p, lb.Modulo, t)
	s.RateLimit = lb.RateLimit{Packets: packets, NewFlows: flows, Burst: burst}
	return s
}

func testPacketRate(b fixture, f family) {
	for _, t := range []lb.Tracking{lb.Stateless, lb.TrackChanges, lb.TrackAlways} {
		s := f.rated(packet.TCP, t, 10, 0, 500*time.Millisecond)
		b.set(s)
		flow := flowTo(s.VIP)
		b.passes(5, flow, flagACK, lb.RateLimitedPackets, "half a second's come at once")
		b.becomes(packetOf(flow, flagSYN).Frame(), lb.RateLimitedPackets, "a flow begins when the rate is used up")
		b.becomes(quote{}.build(packetOf(flow, flagACK)), lb.RateLimitedPackets, "an error comes when the rate is used up")
		b.advance(90 * time.Millisecond)
		b.becomes(packetOf(flow, flagACK).Frame(), lb.RateLimitedPackets, "nine tenths of one have been earned")
		b.advance(10 * time.Millisecond)
		b.passes(1, flow, flagACK, lb.RateLimitedPackets, "one has been earned")
		b.advance(time.Hour)
		b.passes(5, flow, flagACK, lb.RateLimitedPackets, "no more than a burst is saved up")
		b.remove(s.VIP)
		b.set(s)
		b.passes(5, flow, flagACK, lb.RateLimitedPackets, "the service is another one")
		b.remove(s.VIP)
	}
	s := f.rated(packet.UDP, lb.Stateless, 2, 0, time.Millisecond)
	b.set(s)
	b.passes(1, flowTo(s.VIP), 0, lb.RateLimitedPackets, "one finds room in the shortest burst")
}

// testFlowRate: flows that have begun go on, and those that may not begin leave no record.
func testFlowRate(b fixture, f family) {
	for _, t := range []lb.Tracking{lb.Stateless, lb.TrackChanges, lb.TrackAlways} {
		s := f.rated(packet.TCP, t, 0, 3, time.Second)
		b.set(s)
		flow := flowTo(s.VIP)
		b.passes(3, flow, flagSYN, lb.RateLimitedFlows, "three begin")
		for i := range 50 {
			over := flow
			over.Source = withPort(flow.Source, 1000+uint16(i))
			b.becomes(packetOf(over, flagSYN).Frame(), lb.RateLimitedFlows, "a flood of SYNs comes")
			b.goes(flow, flagACK, owner(s, flow), "a flow that has begun goes on")
		}
		if t == lb.TrackAlways {
			if n := recorded(b.flows(s.VIP)); n != 3 {
				b.t.Errorf("%d flows are recorded, want 3", n)
			}
		}
		b.advance(time.Second)
		b.passes(3, flow, flagSYN, lb.RateLimitedFlows, "a second has passed")
		b.remove(s.VIP)
	}
}

func testFlowRateUDP(b fixture, f family) {
	s := f.rated(packet.UDP, lb.TrackAlways, 0, 3, time.Second)
	b.set(s)
	flow := flowTo(s.VIP)
	b.passes(3, flow, 0, lb.RateLimitedFlows, "three begin")
	for range 20 {
		b.goes(flow, 0, owner(s, flow), "a flow that is recorded goes on")
	}
	if n := recorded(b.flows(s.VIP)); n != 3 {
		b.t.Errorf("%d flows are recorded, want 3", n)
	}
}

// testBothRates: what may not begin takes none of the packets that others may have.
func testBothRates(b fixture, f family) {
	s := f.rated(packet.TCP, lb.TrackAlways, 10, 2, time.Second)
	b.set(s)
	flow := flowTo(s.VIP)
	b.passes(2, flow, flagSYN, lb.RateLimitedFlows, "two begin")
	for range 20 {
		b.becomes(packetOf(clients(s, 2000, 1)[0], flagSYN).Frame(), lb.RateLimitedFlows, "a flood of SYNs comes")
	}
	b.passes(8, flow, flagACK, lb.RateLimitedPackets, "ten packets are those of two SYNs and eight others")
}

// testRateInTransition: the same where flows are looked for among the records.
func testRateInTransition(b fixture, f family) {
	was := f.rated(packet.TCP, lb.TrackChanges, 0, 2, time.Second)
	old := clients(was, 3000, 30)
	is := without(was, 0)
	b.set(was)
	with := map[packet.Flow]netip.AddrPort{}
	for _, flow := range old {
		with[flow] = b.arrives(flow, flagACK)
	}
	b.set(is)
	b.passes(2, flowTo(is.VIP), flagSYN, lb.RateLimitedFlows, "two begin in transition")
	for _, flow := range old {
		if with[flow] != was.Replicas[0].Address {
			b.goes(flow, flagACK, with[flow], "a flow from before the change goes on")
		}
	}
}

// testRatesChange: another change of the service leaves what is used up, one of the rates begins anew.
func testRatesChange(b fixture, f family) {
	s := f.rated(packet.TCP, lb.TrackAlways, 5, 0, time.Second)
	b.set(s)
	flow := flowTo(s.VIP)
	b.passes(5, flow, flagACK, lb.RateLimitedPackets, "a second's come")
	s = with(s, lb.Draining, 3)
	b.set(s)
	b.becomes(packetOf(flow, flagACK).Frame(), lb.RateLimitedPackets, "a replica drains")
	s.RateLimit.Packets = 3
	b.set(s)
	b.passes(3, flow, flagACK, lb.RateLimitedPackets, "the rate is another one")
	s.RateLimit = lb.RateLimit{}
	b.set(s)
	for range 20 {
		b.goes(flow, flagACK, b.arrives(flow, flagACK), "there is no rate")
	}
}

// testHighRate: of the highest rates a packet gets through.
func testHighRate(b fixture, f family) {
	s := f.rated(packet.TCP, lb.TrackChanges, lb.MaxPacketRate, lb.MaxFlowRate, lb.MaxBurst)
	b.set(s)
	for range 100 {
		b.goes(flowTo(s.VIP), flagSYN, owner(s, flowTo(s.VIP)), "the rates are as high as can be")
	}
}

// testRangeLimit tests the limit of source ranges at its border, and that rows are used again.
func testRangeLimit(b fixture) {
	n := int(Limits().SourceRanges)
	ranged := func(number byte, ranges, from int) lb.Service {
		s := ipv4.service(number, packet.TCP, ipv4.on(West, number, 80))
		for i := range ranges {
			a := netip.AddrFrom4([4]byte{100, byte(i), byte(from), 1})
			s.SourceRanges = append(s.SourceRanges, netip.PrefixFrom(a, 32))
		}
		return s
	}
	b.full(ranged(1, n+1, 0))
	b.set(ranged(1, n-1, 0))
	b.full(ranged(2, 2, 0))
	b.set(ranged(2, 1, 0))
	for i := range 30 {
		b.set(ranged(1, []int{n - 1, 1, 0, n / 2}[i%4], i))
	}
	b.set(ranged(1, n-1, 9))
	b.full(ranged(2, 2, 0))
	flow := flowTo(ipv4.vip(1, packet.TCP))
	flow.Source = netip.MustParseAddrPort("100.3.9.1:1000")
	b.goes(flow, flagSYN, ipv4.on(West, 1, 80), "it is the client of a range")
	flow.Source = netip.MustParseAddrPort("100.3.8.1:1000")
	b.becomes(packetOf(flow, flagSYN).Frame(), lb.SourceDenied, "it was the client of a range")
}
