package contract

import (
	"encoding/binary"
	"net/netip"

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
		{name: "too long by the least", only: both(isIPIP, isV6), packet: all(to(small), ipLength(1241)), want: dropped(lb.TunnelTooNarrow)},
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
