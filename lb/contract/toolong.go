package contract

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

func isIPIP(s scene) bool { return s.mode == lb.IPIP }

// tooLong is the length of a packet that is one byte too long for the way to the replicas on Narrow. Of IPv6 it is one that
// a sender can make shorter.
func (s scene) tooLong() int {
	if s.v4 {
		return 1281 - s.overhead()
	}
	return 1281
}

// bigCases are packets that are longer than the MTU of their route.
func bigCases(s scene) []packetCase {
	tell := s.told(1280)
	long := func(changes ...func(scene, *Packet)) func(scene, *Packet) {
		return all(append([]func(scene, *Packet){to(small), dontFragment, ipLength(s.tooLong())}, changes...)...)
	}
	cases := []packetCase{
		{name: "too long", packet: all(to(small), ipLength(s.tooLong())), want: tell.unless(s.v4 && s.mode == lb.NAT, cut(small))},
		{name: "too long, neighbour unknown, may be fragmented", packet: all(to(smallUnresolved), ipLength(s.tooLong())), want: tell.unless(s.v4 && s.mode == lb.NAT, cut(smallUnresolved))},
		{name: "too long, tags, may be fragmented", packet: all(to(small), ipLength(s.tooLong()), tagged(double...)), want: tell.unless(s.v4 && s.mode == lb.NAT, cut(small))},
		{name: "too long, ttl 1, may be fragmented", packet: all(to(small), ipLength(s.tooLong()), ttl(1)), want: s.mortal(tell)},
		{name: "too long, not to be fragmented", packet: long(), want: tell},
		{name: "not to be fragmented, fits", packet: all(to(small), dontFragment, filling(1280, 0)), want: sentTo(small, Narrow)},
		{name: "too long, ttl 1", packet: long(ttl(1)), want: s.mortal(tell)},
		{name: "too long, neighbour unknown", packet: long(to(smallUnresolved)), want: tell},
		{name: "too long, with tags", packet: long(tagged(double...)), want: tell},
		{name: "too long, padding", packet: long(), bytes: pad(9), want: tell},
		{name: "too long, from nowhere", packet: long(from(elsewhere)), want: tell},
		{name: "too long, ipv4 options", only: isV4, packet: long(options(40)), want: tell},
		{name: "too long, extension headers", only: isV6, packet: long(extensions(header(60, 64))), want: tell},
		{name: "no longer than every link carries", only: both(isIPIP, isV6), packet: all(to(small), ipLength(1280)), want: dropped(lb.TunnelTooNarrow)},
		{name: "too long by the least", only: both(isIPIP, isV6), packet: all(to(small), ipLength(1281-s.overhead())), want: dropped(lb.TunnelTooNarrow)},
	}
	for _, source := range unanswerable(s) {
		from := from(func(scene) netip.AddrPort { return source })
		cases = append(cases, packetCase{name: "too long, from " + source.Addr().String(), packet: long(from), want: dropped(lb.MartianSource)})
	}
	for _, source := range oddHosts(s) {
		from := from(func(scene) netip.AddrPort { return source })
		cases = append(cases, packetCase{name: "too long, from the host " + source.Addr().String(), packet: long(from), want: tell})
	}
	readdressed := returnedTo("").by(oracle.Pass).as(lb.TooBigPassed)
	answers := onWest([]packetCase{
		{name: "answer, too long", packet: all(answerTo(Narrow, 1), ipLength(1281)), want: told(1280).unless(s.v4, readdressed)},
		{name: "answer, too long, not to be fragmented", packet: all(answerTo(Narrow, 1), dontFragment, ipLength(1281)), want: told(1280)},
		{name: "answer, too long, neighbour unknown", packet: all(answerTo(Narrow, unknown), dontFragment, ipLength(1281)), want: told(1280)},
		{name: "answer, too long, ttl 1", packet: all(answerTo(Narrow, 1), dontFragment, ipLength(1281), ttl(1)), want: passed(lb.TTLExpired)},
	})
	return append(append(cases, superCases(s)...), onlyFor(isNAT, answers)...)
}

// superCases are packets that are longer than the link that they came by carries: segments that are cut later, on the
// way out. Their checksum is the sum of the pseudo header, to which who cuts them adds the rest.
func superCases(s scene) []packetCase {
	merged := func(p Packet) []byte { return s.partial(p) }
	given := outcome{action: oracle.Pass, reason: lb.SuperPacketPassed, service: plain}
	want := dropped(lb.SuperPacket).unless(s.mode == lb.NAT, given)
	answered := returnedTo("").by(oracle.Pass).as(lb.SuperPacketPassed)
	cases := []packetCase{
		{name: "super-packet", packet: ipLength(2920), build: merged, want: want},
		{name: "super-packet, not to be fragmented", packet: all(dontFragment, ipLength(2920)), build: merged, want: want},
		{name: "super-packet, by one byte", packet: ipLength(1501), build: merged, want: want},
		{name: "super-packet, tags", packet: all(ipLength(2920), tagged(double...)), build: merged, want: want},
		{name: "super-packet, padding", packet: ipLength(2920), build: merged, bytes: pad(3), want: want},
		{name: "super-packet, ttl 1", packet: all(ipLength(2920), ttl(1)), build: merged, want: s.mortal(want)},
		{name: "super-packet, from a group", packet: all(ipLength(2920), from(func(scene) netip.AddrPort { return unanswerable(s)[0] })), build: merged, want: dropped(lb.MartianSource)},
	}
	return append(cases, onlyFor(isNAT, onWest([]packetCase{
		{name: "answer, super-packet", packet: all(answer, ipLength(2920)), build: merged, want: answered},
		{name: "answer, super-packet, neighbour unknown", packet: all(answerTo(East, unknown), ipLength(2920)), build: merged, want: answered},
	}))...)
}

// partial is a frame in which the checksum of TCP or UDP is the sum of the pseudo header alone, not complemented.
func (s scene) partial(p Packet) []byte {
	frame := p.Frame()
	at := s.l4() + 4*len(p.Tags) + 6
	if p.Flow.Protocol == packet.TCP {
		at += 10
	}
	bytes := len(frame) - s.l4() - 4*len(p.Tags)
	pseudo := appendAddresses(nil, p.Flow)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(bytes))
	pseudo = append(pseudo, 0, 0, 0, byte(p.Flow.Protocol))
	binary.BigEndian.PutUint16(frame[at:], ^packet.Checksum(pseudo))
	return frame
}

// testTunnelErrors are ICMP errors about outer packets of mode ipip, from a router between the balancer and a replica: the
// sender of the inner packet is told, and what they say of the path's MTU counts.
func testTunnelErrors(t *testing.T, open func(t *testing.T) Harness) {
	for _, s := range allScenes() {
		if s.mode == lb.IPIP {
			t.Run(s.name(), func(t *testing.T) {
				b := newFixture(t, open)
				b.set(s.services()...)
				b.tunnelErrors(s)
				b.pathMTU(s)
			})
		}
	}
}

// tunnelError is an error of a router on West. The zero value is that host 9 cannot reach plain's replica.
type tunnelError struct {
	// tooBig is the MTU that it tells, 0 for an error about something else.
	tooBig int
	// inner changes the packet to the VIP, outer the packet that carried it, error the error.
	inner, outer, error func(s scene, p *Packet)
	// bytes is how many of the outer packet are quoted, 0 for all.
	bytes int
	// kind is the error's type, 0 for destination unreachable, or packet too big.
	kind byte
}

// build returns the frame, and what it quotes of the inner packet.
func (e tunnelError) build(s scene) (frame, inner []byte) {
	p := all(payload(1400), orNothing(e.inner))
	in := s.plain()
	p(s, &in)
	in.Tags = nil
	out := Packet{Flow: s.tunnel(plain, West, in.Flow), TTL: 60, DontFragment: true}
	out.Flow.Protocol = packet.InnerIPv4
	if !s.v4 {
		out.Flow.Protocol = packet.InnerIPv6
	}
	us := netip.AddrPortFrom(out.Flow.Source.Addr(), 0)
	orNothing(e.outer)(s, &out)
	if out.Carried = in.ip(); s.outer.encapsulation != lb.Plain {
		out.Flow.Protocol, out.Carried = packet.UDP, inUDP(out.Flow, in.ip())
	}
	quoted := out.ip()
	if e.bytes > 0 {
		quoted = quoted[:e.bytes]
	}
	quoted = quoted[:min(len(quoted), 1200)]
	kind, code, rest := byte(3), byte(1), [4]byte{}
	switch {
	case !s.replicas.v4 && e.tooBig > 0:
		kind, code = 2, 0
	case !s.replicas.v4:
		kind, code = 1, 0
	case e.tooBig > 0:
		code = 4
	}
	if e.kind > 0 {
		kind = e.kind
	}
	binary.BigEndian.PutUint32(rest[:], uint32(e.tooBig))
	from := netip.AddrPortFrom(s.replicas.on(West, 9, 0).Addr(), 0)
	p9 := Packet{
		Flow: packet.Flow{Source: from, Destination: us}, TTL: 1, Source: lb.MAC{2, 9, 9, 9, 9, 9}, Destination: lb.MAC{2, 8, 8, 8, 8, 8},
	}
	p9 = p9.icmp(kind, code, rest, quoted)
	orNothing(e.error)(s, &p9)
	return p9.Frame(), quoted[min(len(quoted), s.overhead()):]
}

// relayed is the error that the client gets by East: of an MTU, or with 0 that the replica is not reached.
func (s scene) relayed(inner []byte, mtu int) []byte {
	p := Packet{Flow: packet.Flow{Source: s.vip(plain, s.protocol).Address, Destination: s.client()}, TTL: 65}
	kind, code, rest := byte(3), byte(1), [4]byte{}
	binary.BigEndian.PutUint32(rest[:], uint32(mtu))
	switch {
	case s.v4 && mtu > 0:
		code = 4
	case !s.v4 && mtu > 0:
		kind, code = 2, 0
	case !s.v4:
		kind, code = 1, 3
	}
	if s.v4 {
		p.Class = 0xc0
	}
	return sentBy(p, East, 1).icmp(kind, code, rest, inner).Frame()
}

// relays checks that an error is relayed, with that MTU.
func (b fixture) relays(s scene, name string, e tunnelError, mtu int) {
	b.t.Run(name, func(t *testing.T) {
		frame, inner := e.build(s)
		o := outcome{action: oracle.Redirect, reason: lb.ErrorReturned, egress: East}
		fixture{b.Harness, t}.check(s, West, frame, o, s.relayed(inner, mtu))
	})
}

// ends checks that an error ends so, and is not changed.
func (b fixture) ends(s scene, name string, e tunnelError, o outcome) {
	b.t.Run(name, func(t *testing.T) {
		frame, _ := e.build(s)
		fixture{b.Harness, t}.check(s, West, frame, o, frame)
	})
}

func (b fixture) tunnelErrors(s scene) {
	other, silent := passed(lb.NotTCPUDP), passed(lb.NotTCPUDP)
	if s.outer.encapsulation != lb.Plain {
		other = passed(lb.NotOurs) // an error about some packet of UDP
	}
	least, head, expired := s.ipHeader()+8, s.overhead(), byte(11)
	if !s.replicas.v4 {
		expired = 3
	}
	source := func(a netip.AddrPort) func(scene, *Packet) {
		return func(_ scene, p *Packet) { p.Flow.Source = netip.AddrPortFrom(a.Addr(), p.Flow.Source.Port()) }
	}
	destination := func(a netip.AddrPort) func(scene, *Packet) {
		return func(_ scene, p *Packet) { p.Flow.Destination = netip.AddrPortFrom(a.Addr(), p.Flow.Destination.Port()) }
	}
	b.relays(s, "unreachable", tunnelError{}, 0)
	b.relays(s, "time exceeded", tunnelError{kind: expired}, 0)
	b.relays(s, "the least quote", tunnelError{bytes: head + least}, 0)
	b.relays(s, "an odd quote", tunnelError{bytes: head + least + 1}, 0)
	b.relays(s, "tags", tunnelError{error: tagged(double...)}, 0)
	if !s.v4 {
		b.relays(s, "extension headers inside", tunnelError{inner: extensions(header(60, 16), atomic(1))}, 0)
	} else {
		b.relays(s, "options inside", tunnelError{inner: options(12)}, 0)
	}
	b.ends(s, "quote too short", tunnelError{bytes: head + least - 1}, other)
	b.ends(s, "no inner header", tunnelError{bytes: head}, other)
	b.ends(s, "echo request", tunnelError{kind: 8 + 120*byte(head/40)}, silent)
	b.ends(s, "to another VIP", tunnelError{inner: to(99)}, other)
	b.ends(s, "of another replica", tunnelError{outer: destination(s.replicas.on(West, 2, 0))}, other)
	b.ends(s, "not from us", tunnelError{outer: source(s.replicas.own(East))}, silent)
	b.ends(s, "not to us", tunnelError{error: destination(s.replicas.own(East))}, silent)
	if s.outer.encapsulation != lb.Plain {
		b.ends(s, "from another port", tunnelError{outer: func(_ scene, p *Packet) { p.Flow.Source = withPort(p.Flow.Source, p.Flow.Source.Port()^1) }}, other)
		b.ends(s, "to another port", tunnelError{outer: func(_ scene, p *Packet) { p.Flow.Destination = withPort(p.Flow.Destination, 9) }}, other)
	}
	lost := s.plain()
	to(routeless)(s, &lost)
	tunnel := s.tunnel(routeless, West, lost.Flow)
	b.ends(s, "of a replica without a route", tunnelError{inner: to(routeless), outer: func(_ scene, p *Packet) {
		p.Flow.Source, p.Flow.Destination = tunnel.Source, tunnel.Destination
	}, error: destination(tunnel.Source)}, other)
	b.ends(s, "from a group", tunnelError{inner: source(unanswerable(s)[2])}, other)
	b.ends(s, "sender that cannot be reached", tunnelError{inner: from(elsewhere)}, passed(lb.ForThisHost))
}

// pathMTU lowers the MTU of the path to plain's replica step by step.
func (b fixture) pathMTU(s scene) {
	const most = 1500
	over := s.overhead()
	told := func(outer int) int { // what the client is told
		if s.v4 {
			return outer - over
		}
		return max(outer-over, 1280)
	}
	send := func(name string, length int, o outcome) {
		b.runNamed(s, packetCase{name: name, packet: all(dontFragment, ipLength(length)), want: o})
	}
	send("before", most-over, sentTo(plain, West))
	b.relays(s, "packet too big", tunnelError{tooBig: 1400}, told(1400))
	send("fits in the path", 1400-over, sentTo(plain, West))
	send("does not", 1401-over, s.told(1400))
	b.relays(s, "a greater one", tunnelError{tooBig: 1450}, told(1400))
	send("still does not fit", 1401-over, s.told(1400))
	b.relays(s, "a smaller one", tunnelError{tooBig: 1350}, told(1350))
	send("fits in that", 1350-over, sentTo(plain, West))
	if s.v4 {
		least := 552
		if !s.replicas.v4 {
			least = 1280
		}
		b.relays(s, "less than any path has", tunnelError{tooBig: 68}, least-over)
		send("fits in the least", least-over, sentTo(plain, West))
		send("is longer", least-over+1, s.told(least))
		return
	}
	b.ends(s, "about what every link carries", tunnelError{tooBig: 1280, inner: ipLength(1280)}, dropped(lb.TunnelTooNarrow))
	send("more than every link carries", 1281, s.told(1280))
	send("as every link carries", 1280, dropped(lb.TunnelTooNarrow))
	send("fits in the least", 1280-over, sentTo(plain, West))
}

// runNamed is run as a test of its own.
func (b fixture) runNamed(s scene, c packetCase) {
	b.t.Run(c.name, func(t *testing.T) { fixture{b.Harness, t}.run(s, c) })
}
