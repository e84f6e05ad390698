package contract

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

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
	out := Packet{Flow: packet.Flow{Source: s.replicas.own(West), Destination: s.replica(plain), Protocol: packet.InnerIPv4}, TTL: 60, DontFragment: true, Carried: in.ip()}
	if !s.v4 {
		out.Flow.Protocol = packet.InnerIPv6
	}
	orNothing(e.outer)(s, &out)
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
		Flow: packet.Flow{Source: from, Destination: s.replicas.own(West)}, TTL: 1, Source: lb.MAC{2, 9, 9, 9, 9, 9}, Destination: lb.MAC{2, 8, 8, 8, 8, 8},
	}
	p9 = p9.icmp(kind, code, rest, quoted)
	orNothing(e.error)(s, &p9)
	return p9.Frame(), quoted[min(len(quoted), len(out.ip())-len(out.Carried)):]
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
	other := passed(lb.NotTCPUDP)
	least := s.ipHeader() + 8
	head := 20
	expired := byte(11)
	if !s.replicas.v4 {
		head, expired = 40, 3
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
	b.ends(s, "echo request", tunnelError{kind: 8 + 120*byte(head/40)}, other)
	b.ends(s, "to another VIP", tunnelError{inner: to(99)}, other)
	b.ends(s, "of another replica", tunnelError{outer: destination(s.replicas.on(West, 2, 0))}, other)
	b.ends(s, "not from us", tunnelError{outer: source(s.replicas.own(East))}, other)
	b.ends(s, "not to us", tunnelError{error: destination(s.replicas.own(East))}, other)
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
	send("fits in the least", 1240, sentTo(plain, West))
}

// runNamed is run as a test of its own.
func (b fixture) runNamed(s scene, c packetCase) {
	b.t.Run(c.name, func(t *testing.T) { fixture{b.Harness, t}.run(s, c) })
}
