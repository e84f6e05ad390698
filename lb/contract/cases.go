package contract

import (
	"encoding/binary"
	"net/netip"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// payload makes a payload of n bytes.
func payload(n int) func(scene, *Packet) {
	return func(_ scene, p *Packet) {
		p.Payload = make([]byte, n)
		for i := range p.Payload {
			p.Payload[i] = byte(i * 7)
		}
	}
}

// ipLength makes the IP packet n bytes long.
func ipLength(n int) func(scene, *Packet) {
	return func(s scene, p *Packet) { payload(n-s.headers())(s, p) }
}

// filling makes the IP packet so long that it leaves n bytes of the MTU of the route to the replica.
func filling(mtu, left int) func(scene, *Packet) {
	return func(s scene, p *Packet) { ipLength(mtu-s.overhead()-left)(s, p) }
}

func ttl(n uint8) func(scene, *Packet) { return func(_ scene, p *Packet) { p.TTL = n } }

func dontFragment(_ scene, p *Packet) { p.DontFragment = true }

// to sends the packet to another VIP of the scene.
func to(vip byte) func(scene, *Packet) {
	return func(s scene, p *Packet) { p.Flow.Destination = s.vip(vip, s.protocol).Address }
}

// from sends it from another host.
func from(source func(s scene) netip.AddrPort) func(scene, *Packet) {
	return func(s scene, p *Packet) { p.Flow.Source = source(s) }
}

// all makes several changes.
func all(changes ...func(scene, *Packet)) func(scene, *Packet) {
	return func(s scene, p *Packet) {
		for _, change := range changes {
			change(s, p)
		}
	}
}

// forwardCases are packets to VIPs.
func forwardCases(s scene) []packetCase {
	west, narrow := sentTo(plain, West), sentTo(small, Narrow)
	return []packetCase{
		{name: "valid", want: west},
		{name: "replica on the ingress", ingress: West, want: west.by(oracle.Transmit)},
		{name: "no payload", packet: payload(0), want: west},
		{name: "odd payload", packet: payload(1), want: west},
		{name: "full frame", packet: filling(1500, 0), want: west},
		{name: "class and label", packet: func(s scene, p *Packet) {
			p.Class, p.ID = 0xb9, 0xabcd
			if !s.v4 {
				p.Label = 0xabcde
			}
		}, want: west},
		{name: "ttl 255", packet: ttl(255), want: west},
		{name: "ttl 2", packet: ttl(2), want: west},
		{name: "ttl 1", packet: ttl(1), want: s.mortal(west)},
		{name: "ttl 0", packet: ttl(0), want: s.mortal(west)},
		{name: "no replica", packet: to(empty), want: dropped(lb.NoReplica)},
		{name: "no replica, ttl 1", packet: all(to(empty), ttl(1)), want: s.mortal(dropped(lb.NoReplica))},
		{name: "no route", packet: to(routeless), want: dropped(lb.NoRoute)},
		{name: "no route, ttl 1", packet: all(to(routeless), ttl(1)), want: s.mortal(dropped(lb.NoRoute))},
		{name: "neighbour unknown", packet: to(unresolved), want: s.waiting(unresolved)},
		{name: "neighbour unknown, ttl 1", packet: all(to(unresolved), ttl(1)), want: s.mortal(s.waiting(unresolved))},
		{name: "as long as the small mtu", packet: all(to(small), filling(1280, 0)), want: narrow},
		{name: "fits, neighbour unknown", packet: all(to(smallUnresolved), filling(1280, 0)), want: s.waiting(smallUnresolved)},
		{name: "from a host that cannot be reached", packet: from(func(s scene) netip.AddrPort { return s.off(9, 9) }), want: west},
		{name: "hairpin", packet: to(mirror), want: dropped(lb.Hairpin).unless(s.v4 != s.replicas.v4, sentTo(mirror, East).by(oracle.Transmit))},
		{name: "hairpin from another port", packet: all(to(mirror), from(func(s scene) netip.AddrPort { return s.on(East, 1, 7) })),
			want: dropped(lb.Hairpin).unless(s.v4 != s.replicas.v4, sentTo(mirror, East).by(oracle.Transmit))},
		{name: "hairpin, too long", packet: all(to(mirror), ipLength(1500)), only: isIPIP,
			want: dropped(lb.Hairpin).unless(s.v4 != s.replicas.v4, s.told(1500))},
		{name: "beside a hairpin", packet: all(to(mirror), from(func(s scene) netip.AddrPort { return s.on(East, 2, 40000) })),
			want: sentTo(mirror, East).by(oracle.Transmit)},
		{
			name: "udp checksum becomes 0xffff", only: func(s scene) bool { return s.protocol == packet.UDP },
			packet: checksumFFFF, want: west,
		},
	}
}

// unless returns another outcome if something is so.
func (o outcome) unless(is bool, other outcome) outcome {
	if is {
		return other
	}
	return o
}

// checksumFFFF finds a payload for which the checksum of the rewritten packet computes to 0, and so is sent as
// 0xffff.
func checksumFFFF(s scene, p *Packet) {
	out := *p
	if s.mode == lb.NAT {
		out.Flow.Destination = s.replica(plain)
	}
	for i := range uint16(0xffff) {
		out.Payload = binary.BigEndian.AppendUint16(nil, i)
		if binary.BigEndian.Uint16(out.Frame()[s.l4()+6:]) == 0xffff {
			p.Payload = out.Payload
			return
		}
	}
	panic("contract: no payload gives the checksum 0xffff")
}

// lookupCases are packets that almost belong to a service.
func lookupCases(s scene) []packetCase {
	ours := passed(lb.NotOurs)
	return []packetCase{
		{name: "other address", packet: to(99), want: ours},
		{name: "other address, ttl 1", packet: all(to(99), ttl(1)), want: ours},
		{name: "other port", packet: func(_ scene, p *Packet) { p.Flow.Destination = withPort(p.Flow.Destination, 81) }, want: ours},
		{name: "port with its bytes swapped", packet: func(_ scene, p *Packet) {
			p.Flow.Destination = withPort(p.Flow.Destination, 80<<8)
		}, want: ours},
		{name: "port 0", packet: func(_ scene, p *Packet) { p.Flow.Destination = withPort(p.Flow.Destination, 0) }, want: ours},
		{name: "other protocol", packet: func(_ scene, p *Packet) {
			p.Flow.Protocol = packet.TCP + packet.UDP - p.Flow.Protocol
		}, want: ours},
		{name: "from a VIP", packet: func(_ scene, p *Packet) { p.Flow = p.Flow.Reverse() }, want: ours},
		{name: "to a replica", only: sameFamily, packet: func(s scene, p *Packet) { p.Flow.Destination = s.replica(plain) }, want: ours},
		{name: "an answer, not by nat", only: func(s scene) bool { return s.mode != lb.NAT && sameFamily(s) }, packet: answer, want: ours},
		{name: "from the VIP to itself", packet: func(s scene, p *Packet) {
			p.Flow.Source = s.vip(plain, s.protocol).Address
		}, want: dropped(lb.MartianSource)},
		{name: "from a replica to a VIP", only: sameFamily, packet: func(s scene, p *Packet) {
			p.Flow.Source = s.replica(plain)
			to(small)(s, p)
		}, want: sentTo(small, Narrow)},
	}
}

// sameFamily selects the scenes in which replicas and clients have addresses of the same family.
func sameFamily(s scene) bool { return s.v4 == s.replicas.v4 }

func withPort(a netip.AddrPort, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), port)
}

// answer makes the packet an answer of plain's replica.
func answer(s scene, p *Packet) {
	p.Flow = packet.Flow{Source: s.replica(plain), Destination: s.client(), Protocol: s.protocol}
}

// answerTo makes it an answer to a host of a link.
func answerTo(link string, host byte) func(scene, *Packet) {
	return func(s scene, p *Packet) {
		answer(s, p)
		p.Flow.Destination = s.on(link, host, 40000)
	}
}

// answerToUs makes it an answer to our own address of a link.
func answerToUs(link string) func(scene, *Packet) {
	return func(s scene, p *Packet) {
		answer(s, p)
		p.Flow.Destination = withPort(s.own(link), 40000)
	}
}

// answerNowhere makes it an answer to a host to which no route leads.
func answerNowhere(s scene, p *Packet) {
	answer(s, p)
	p.Flow.Destination = s.off(9, 40000)
}

// returnCases are the answers of replicas.
func returnCases() []packetCase {
	readdressed := returnedTo("").by(oracle.Pass).as(lb.NeighbourMissing)
	fromSmall := returnedTo(East)
	fromSmall.rewrite = func(s scene, p *Packet) { p.Flow.Source = s.vip(smallUnresolved, s.protocol).Address }
	return onWest([]packetCase{
		{name: "answer", packet: answer, want: returnedTo(East)},
		{name: "answer by the ingress", ingress: East, packet: answer, want: returnedTo(East).by(oracle.Transmit)},
		{name: "answer, ttl 2", packet: all(answer, ttl(2)), want: returnedTo(East)},
		{name: "answer, ttl 1", packet: all(answer, ttl(1)), want: passed(lb.TTLExpired)},
		{name: "answer, full frame", packet: all(answer, ipLength(1500)), want: returnedTo(East)},
		{name: "answer, just fits", packet: all(answerTo(Narrow, 1), ipLength(1280)), want: returnedTo(Narrow)},
		{name: "answer, neighbour unknown", packet: answerTo(East, unknown), want: readdressed},
		{name: "answer, no route", packet: answerNowhere, want: passed(lb.ForThisHost)},
		{name: "answer to us", packet: answerToUs(West), want: passed(lb.ForThisHost)},
		{name: "answer to our address of another link", packet: answerToUs(East), want: passed(lb.ForThisHost)},
		{name: "answer to us, too long to be forwarded", packet: all(answerToUs(Narrow), ipLength(1281)), want: passed(lb.ForThisHost)},
		{name: "answer to us, tags", packet: all(answerToUs(West), tagged(double...)), want: passed(lb.ForThisHost)},
		{name: "answer to all", only: isV4, packet: answerTo(East, 255), want: passed(lb.ForThisHost)},
		{name: "answer to a port of a vip that is no service's", packet: func(s scene, p *Packet) {
			answer(s, p)
			p.Flow.Destination = withPort(s.vip(plain, s.protocol).Address, 40000)
		}, want: passed(lb.ForThisHost)},
		{name: "answer, no route, ttl 1", packet: all(answerNowhere, ttl(1)), want: passed(lb.TTLExpired)},
		{name: "answer of a replica that cannot be reached", ingress: Narrow, packet: func(s scene, p *Packet) {
			answer(s, p)
			p.Flow.Source = s.replica(smallUnresolved)
		}, want: fromSmall},
		{name: "answer, malformed", packet: answer, bytes: malformedL4, want: dropped(lb.MalformedL4)},
		{name: "answer, ports alone", packet: answer, bytes: l4Bytes(4), want: dropped(lb.MalformedL4)},
		{name: "answer, half of its ports", packet: answer, bytes: l4Bytes(3), want: passed(lb.NotOurs)},
		{name: "answer to a vip, malformed", packet: func(s scene, p *Packet) {
			answer(s, p)
			to(small)(s, p)
		}, bytes: malformedL4, want: dropped(lb.MalformedL4)},
		{name: "answer from another port, malformed", packet: func(s scene, p *Packet) {
			answer(s, p)
			p.Flow.Source = withPort(p.Flow.Source, 80)
		}, bytes: malformedL4, want: passed(lb.NotOurs)},
		{name: "answer from another port", packet: func(s scene, p *Packet) {
			answer(s, p)
			p.Flow.Source = withPort(p.Flow.Source, 80)
		}, want: passed(lb.NotOurs)},
		{name: "answer by another protocol", packet: func(s scene, p *Packet) {
			answer(s, p)
			p.Flow.Protocol = packet.TCP + packet.UDP - p.Flow.Protocol
		}, want: passed(lb.NotOurs)},
	})
}

// malformedL4 makes a TCP header too short, or a UDP length.
func malformedL4(s scene, frame []byte) []byte {
	if isTCP(s) {
		return pokeL4(12, 0x40)(s, frame)
	}
	return pokeL4(4, 0, 7)(s, frame)
}

// l4Bytes shortens the IP packet to so many bytes of what it carries; what follows is padding.
func l4Bytes(n int) func(scene, []byte) []byte {
	return func(s scene, frame []byte) []byte { return ipBytes(n-(len(frame)-s.l4()))(s, frame) }
}

// onWest gives cases that name no ingress the ingress West, where replicas are.
func onWest(cases []packetCase) []packetCase {
	for i := range cases {
		if cases[i].ingress == "" {
			cases[i].ingress = West
		}
	}
	return cases
}
