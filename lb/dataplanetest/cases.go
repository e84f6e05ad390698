package dataplanetest

import (
	"encoding/binary"
	"net/netip"

	"lbctl/lb"
	"lbctl/lb/model"
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

func ttl(n uint8) func(scene, *Packet) { return func(_ scene, p *Packet) { p.TTL = n } }

// to sends the packet to another VIP of the scene.
func to(vip byte) func(scene, *Packet) {
	return func(s scene, p *Packet) { p.Flow.Destination = s.vip(vip, s.protocol).Address }
}

// both makes two changes.
func both(a, b func(scene, *Packet)) func(scene, *Packet) {
	return func(s scene, p *Packet) { a(s, p); b(s, p) }
}

// forwardCases are packets to VIPs.
func forwardCases() []packetCase {
	return []packetCase{
		{name: "valid", want: sentTo(plain, West)},
		{name: "replica on the ingress", ingress: West, want: sentTo(plain, West).by(model.Transmit)},
		{name: "no payload", packet: payload(0), want: sentTo(plain, West)},
		{name: "odd payload", packet: payload(1), want: sentTo(plain, West)},
		{name: "full frame", packet: ipLength(1500), want: sentTo(plain, West)},
		{name: "longer than the mtu", only: isV4, packet: ipLength(1501), want: dropped(lb.TooBig)},
		{name: "longer than the mtu", only: isV6, packet: ipLength(1501), out: tooBig, want: answered},
		{name: "ttl 255", packet: ttl(255), want: sentTo(plain, West)},
		{name: "ttl 2", packet: ttl(2), want: sentTo(plain, West)},
		{name: "ttl 1", packet: ttl(1), want: passed(lb.TTLExpired)},
		{name: "ttl 0", packet: ttl(0), want: passed(lb.TTLExpired)},
		{name: "no replica", packet: to(empty), want: dropped(lb.NoReplica)},
		{name: "no replica, ttl 1", packet: both(to(empty), ttl(1)), want: passed(lb.TTLExpired)},
		{name: "no route", packet: to(routeless), want: dropped(lb.NoRoute)},
		{name: "no route, ttl 1", packet: both(to(routeless), ttl(1)), want: passed(lb.TTLExpired)},
		{name: "neighbour unknown", packet: to(unresolved), want: passedTo(unresolved)},
		{name: "neighbour unknown, ttl 1", packet: both(to(unresolved), ttl(1)), want: passed(lb.TTLExpired)},
		{name: "as long as the small mtu", packet: both(to(small), ipLength(1280)), want: sentTo(small, Narrow)},
		{name: "longer than the small mtu", only: isV4, packet: both(to(small), ipLength(1281)), want: dropped(lb.TooBig)},
		{name: "longer than the small mtu", only: isV6, packet: both(to(small), ipLength(1281)), out: tooBigFor(1280), want: answered},
		{name: "too long, ttl 1", packet: both(both(to(small), ipLength(1281)), ttl(1)), want: passed(lb.TTLExpired)},
		{name: "too long, neighbour unknown", only: isV4, packet: both(to(smallUnresolved), ipLength(1281)), want: dropped(lb.TooBig)},
		{name: "fits, neighbour unknown", packet: both(to(smallUnresolved), ipLength(1280)), want: passedTo(smallUnresolved)},
		{
			name: "udp checksum becomes 0xffff", only: func(s scene) bool { return s.protocol == packet.UDP },
			packet: checksumFFFF, want: sentTo(plain, West),
		},
	}
}

// checksumFFFF finds a payload with which the checksum of the rewritten packet is 0, written 0xffff.
func checksumFFFF(s scene, p *Packet) {
	out := *p
	out.Flow.Destination = s.replica(plain)
	for i := range uint16(0xffff) {
		out.Payload = binary.BigEndian.AppendUint16(nil, i)
		if binary.BigEndian.Uint16(out.Frame()[s.l4()+6:]) == 0xffff {
			p.Payload = out.Payload
			return
		}
	}
	panic("dataplanetest: no payload gives the checksum 0xffff")
}

// lookupCases are packets that almost belong to a service.
func lookupCases() []packetCase {
	ours := passed(lb.NotOurs)
	return []packetCase{
		{name: "other address", packet: to(99), want: ours},
		{name: "other address, ttl 1", packet: both(to(99), ttl(1)), want: ours},
		{name: "other port", packet: func(_ scene, p *Packet) { p.Flow.Destination = withPort(p.Flow.Destination, 81) }, want: ours},
		{name: "port with its bytes swapped", packet: func(_ scene, p *Packet) {
			p.Flow.Destination = withPort(p.Flow.Destination, 80<<8)
		}, want: ours},
		{name: "other protocol", packet: func(_ scene, p *Packet) {
			p.Flow.Protocol = packet.TCP + packet.UDP - p.Flow.Protocol
		}, want: ours},
		{name: "from a VIP", packet: func(_ scene, p *Packet) { p.Flow = p.Flow.Reverse() }, want: ours},
		{name: "to a replica", packet: func(s scene, p *Packet) { p.Flow.Destination = s.replica(plain) }, want: ours},
		{name: "from the VIP to itself", packet: func(s scene, p *Packet) {
			p.Flow.Source = s.vip(plain, s.protocol).Address
		}, want: sentTo(plain, West)},
		{name: "from a replica to a VIP", packet: func(s scene, p *Packet) {
			p.Flow.Source = s.replica(plain)
			to(small)(s, p)
		}, want: sentTo(small, Narrow)},
	}
}

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

// returnCases are the answers of replicas.
func returnCases() []packetCase {
	readdressed := returnedTo("")
	readdressed.action, readdressed.reason = model.Pass, lb.NeighbourMissing
	fromSmall := returnedTo(East)
	fromSmall.rewrite = func(s scene, f *packet.Flow) { f.Source = s.vip(smallUnresolved, s.protocol).Address }
	return []packetCase{
		{name: "answer", ingress: West, packet: answer, want: returnedTo(East)},
		{name: "answer by the ingress", packet: answer, want: returnedTo(East).by(model.Transmit)},
		{name: "answer, ttl 2", ingress: West, packet: both(answer, ttl(2)), want: returnedTo(East)},
		{name: "answer, ttl 1", ingress: West, packet: both(answer, ttl(1)), want: passed(lb.TTLExpired)},
		{name: "answer, full frame", ingress: West, packet: both(answer, ipLength(1500)), want: returnedTo(East)},
		{name: "answer, too long", only: isV4, ingress: West, packet: both(answerTo(Narrow, 1), ipLength(1281)), want: dropped(lb.TooBig)},
		{name: "answer, too long", only: isV6, ingress: West, packet: both(answerTo(Narrow, 1), ipLength(1281)),
			out: tooBigFor(1280), want: answeredOn(West)},
		{name: "answer, just fits", ingress: West, packet: both(answerTo(Narrow, 1), ipLength(1280)), want: returnedTo(Narrow)},
		{name: "answer, neighbour unknown", ingress: West, packet: answerTo(East, unknown), want: readdressed},
		{name: "answer, too long, neighbour unknown", only: isV4, ingress: West,
			packet: both(answerTo(Narrow, unknown), ipLength(1281)), want: dropped(lb.TooBig)},
		{name: "answer, no route", ingress: West, packet: func(s scene, p *Packet) {
			answer(s, p)
			p.Flow.Destination = s.off(9, 40000)
		}, want: dropped(lb.NoRoute)},
		{name: "answer, no route, ttl 1", ingress: West, packet: func(s scene, p *Packet) {
			answer(s, p)
			p.Flow.Destination, p.TTL = s.off(9, 40000), 1
		}, want: passed(lb.TTLExpired)},
		{name: "answer of a replica that cannot be reached", ingress: Narrow, packet: func(s scene, p *Packet) {
			answer(s, p)
			p.Flow.Source = s.replica(smallUnresolved)
		}, want: fromSmall},
		{name: "answer from another port", ingress: West, packet: func(s scene, p *Packet) {
			answer(s, p)
			p.Flow.Source = withPort(p.Flow.Source, 80)
		}, want: passed(lb.NotOurs)},
		{name: "answer by another protocol", ingress: West, packet: func(s scene, p *Packet) {
			answer(s, p)
			p.Flow.Protocol = packet.TCP + packet.UDP - p.Flow.Protocol
		}, want: passed(lb.NotOurs)},
	}
}
