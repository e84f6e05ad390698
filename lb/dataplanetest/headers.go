package dataplanetest

import (
	"encoding/binary"
	"slices"

	"lbctl/lb"
	"lbctl/lb/model"
	"lbctl/rss/packet"
)

func isV4(s scene) bool  { return s.v4 }
func isV6(s scene) bool  { return !s.v4 }
func isTCP(s scene) bool { return s.protocol == packet.TCP }
func isUDP(s scene) bool { return s.protocol == packet.UDP }

// poke writes bytes at an offset in the frame.
func poke(at int, bytes ...byte) func(scene, []byte) []byte {
	return func(_ scene, frame []byte) []byte {
		copy(frame[at:], bytes)
		return frame
	}
}

// pokeIP writes bytes at an offset in the IP header, pokeL4 in that of TCP or UDP.
func pokeIP(at int, bytes ...byte) func(scene, []byte) []byte { return poke(ethernet+at, bytes...) }

func pokeL4(at int, bytes ...byte) func(scene, []byte) []byte {
	return func(s scene, frame []byte) []byte { return poke(s.l4()+at, bytes...)(s, frame) }
}

// ipBytes writes the length field of IP: delta more than is right.
func ipBytes(delta int) func(scene, []byte) []byte {
	return func(s scene, frame []byte) []byte {
		at := ethernet + 2
		if !s.v4 {
			at = ethernet + 4
		}
		length := int(binary.BigEndian.Uint16(frame[at:])) + delta
		binary.BigEndian.PutUint16(frame[at:], uint16(length))
		return frame
	}
}

// ipPayload writes the length field of IP so that n bytes are left for layer 4.
func ipPayload(n int) func(scene, []byte) []byte {
	return func(s scene, frame []byte) []byte { return ipBytes(n-(len(frame)-s.l4()))(s, frame) }
}

// insert puts bytes at an offset in the frame.
func insert(at int, bytes ...byte) func(scene, []byte) []byte {
	return func(_ scene, frame []byte) []byte { return slices.Insert(frame, at, bytes...) }
}

// then makes one change of the bytes after another.
func then(changes ...func(scene, []byte) []byte) func(scene, []byte) []byte {
	return func(s scene, frame []byte) []byte {
		for _, change := range changes {
			frame = change(s, frame)
		}
		return frame
	}
}

// headerCases change one field of a header, after the checksums were computed: what is
// forwarded has the same change, and a checksum that is wrong by as much.
func headerCases() []packetCase {
	return slices.Concat(ethernetCases(), ipv4Cases(), ipv6Cases(), tcpCases(), udpCases())
}

func ethernetCases() []packetCase {
	bad, tagged := dropped(lb.MalformedIP), passed(lb.VLANTagged)
	return []packetCase{
		{name: "padding", bytes: func(_ scene, f []byte) []byte { return append(f, 1, 2, 3, 4, 5) }, want: sentTo(plain, West)},
		{name: "802.1q, to another link", out: untouched, bytes: insert(12, 0x81, 0x00, 0x00, 0x05), want: sentTo(plain, West)},
		{name: "802.1q, same link", ingress: West, bytes: insert(12, 0x81, 0x00, 0x00, 0x05), want: sentTo(plain, West).by(model.Transmit)},
		{name: "802.1ad and 802.1q, to another link", out: untouched, bytes: insert(12, 0x88, 0xa8, 0x00, 0x05, 0x81, 0x00, 0x00, 0x06), want: sentTo(plain, West)},
		{name: "802.1ad and 802.1q, same link", ingress: West,
			bytes: insert(12, 0x88, 0xa8, 0x00, 0x05, 0x81, 0x00, 0x00, 0x06), want: sentTo(plain, West).by(model.Transmit)},
		{name: "three tags", bytes: insert(12, 0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 0x81, 0, 0, 7), want: tagged},
		{name: "tag cut short", bytes: func(_ scene, f []byte) []byte {
			return append(f[:12], 0x81, 0x00, 0x00)
		}, want: dropped(lb.MalformedEthernet)},
		{name: "arp", bytes: poke(12, 0x08, 0x06), want: passed(lb.NotIP)},
		{name: "802.3 length", bytes: poke(12, 0x00, 0x2e), want: passed(lb.NotIP)},
		{name: "ethertype of ipv6", only: isV4, bytes: poke(12, 0x86, 0xdd), want: bad},
		{name: "ethertype of ipv4", only: isV6, bytes: poke(12, 0x08, 0x00), want: bad},
		{name: "broadcast", packet: func(_ scene, p *Packet) {
			p.Destination = lb.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		}, want: sentTo(plain, West)},
	}
}

func ipv4Cases() []packetCase {
	bad, orphan, sent := dropped(lb.MalformedIP), dropped(lb.FragmentOrphan), sentTo(plain, West)
	cases := []packetCase{
		{name: "version 5", bytes: pokeIP(0, 0x55), want: bad},
		{name: "ihl 4", bytes: pokeIP(0, 0x44), want: bad},
		{name: "ihl 0", bytes: pokeIP(0, 0x40), want: bad},
		{name: "options", bytes: then(insert(ethernet+20, 1, 1, 1, 0), pokeIP(0, 0x46), ipBytes(4)), want: sent},
		{name: "all options", bytes: then(insert(ethernet+20, make([]byte, 40)...), pokeIP(0, 0x4f), ipBytes(40)), want: sent},
		{name: "ihl past the total length", bytes: then(pokeIP(0, 0x4f), pokeIP(2, 0, 59)), want: bad},
		{name: "tos", bytes: pokeIP(1, 0xff), want: sent},
		{name: "total length 0", bytes: pokeIP(2, 0, 0), want: bad},
		{name: "total length 19", bytes: pokeIP(2, 0, 19), want: bad},
		{name: "total length 20", bytes: pokeIP(2, 0, 20), want: dropped(lb.MalformedL4)},
		{name: "total length past the end", bytes: ipBytes(1), want: bad},
		{name: "id", bytes: pokeIP(4, 0xab, 0xcd), want: sent},
		{name: "reserved flag", bytes: pokeIP(6, 0x80, 0), want: sent},
		{name: "don't fragment", bytes: pokeIP(6, 0x40, 0), want: sent},
		{name: "last fragment, nothing known", bytes: pokeIP(4, 0xee, 0xee, 0x00, 0x01), want: orphan},
		{name: "fragment at the highest offset, nothing known", bytes: pokeIP(4, 0xee, 0xee, 0x1f, 0xff), want: orphan},
		{name: "orphan to nobody", packet: to(99), bytes: pokeIP(4, 0xee, 0xee, 0x00, 0x01), want: passed(lb.NotOurs)},
		{name: "first fragment", bytes: pokeIP(4, 0x11, 0x22, 0x20, 0), want: sent},
		{name: "first fragment, ttl 1", bytes: then(pokeIP(8, 1), pokeIP(6, 0x20, 0)), want: passed(lb.TTLExpired)},
		{name: "fragment of icmp", bytes: then(pokeIP(9, 1), pokeIP(6, 0x20, 0)), want: passed(lb.NotTCPUDP)},
		{name: "too long, may not be fragmented", packet: ipLength(1501), bytes: pokeIP(6, 0x40, 0), out: tooBig, want: answered},
		{name: "icmp", bytes: pokeIP(9, 1), want: passed(lb.NotTCPUDP)},
		{name: "icmp, ttl 1", bytes: then(pokeIP(8, 1), pokeIP(9, 1)), want: passed(lb.NotTCPUDP)},
		{name: "ipv4 protocol 58", bytes: pokeIP(9, 58), want: passed(lb.NotTCPUDP)},
		{name: "protocol 0", bytes: pokeIP(9, 0), want: passed(lb.NotTCPUDP)},
	}
	return onlyFor(isV4, cases)
}

func ipv6Cases() []packetCase {
	bad, extension := dropped(lb.MalformedIP), passed(lb.IPv6Extension)
	cases := []packetCase{
		{name: "version 7", bytes: pokeIP(0, 0x70), want: bad},
		{name: "traffic class and flow label", bytes: pokeIP(0, 0x6f, 0xff, 0xff, 0xff), want: sentTo(plain, West)},
		{name: "payload length 0", bytes: pokeIP(4, 0, 0), want: dropped(lb.MalformedL4)},
		{name: "payload length past the end", bytes: ipBytes(1), want: bad},
		{name: "icmpv6", bytes: pokeIP(6, 58), want: passed(lb.NotTCPUDP)},
		{name: "icmpv6, hop limit 1", bytes: pokeIP(6, 58, 1), want: passed(lb.NotTCPUDP)},
		{name: "ipv6 protocol 1", bytes: pokeIP(6, 1), want: passed(lb.NotTCPUDP)},
		{name: "no next header", bytes: pokeIP(6, 59), want: passed(lb.NotTCPUDP)},
		{name: "hop-by-hop", bytes: extended(0, 0), want: sentTo(plain, West)},
		{name: "destination options", bytes: extended(60, 0), want: sentTo(plain, West)},
		{name: "routing, no segments left", bytes: extended(43, 0), want: sentTo(plain, West)},
		{name: "routing, segments left", bytes: extended(43, 1), want: extension},
		{name: "atomic fragment", bytes: extended(44, 0), want: sentTo(plain, West)},
		{name: "six extension headers", bytes: then(extended(60, 0), extended(60, 0), extended(60, 0), extended(60, 0), extended(60, 0), extended(0, 0)),
			want: sentTo(plain, West)},
		{name: "seven extension headers", bytes: then(extended(60, 0), extended(60, 0), extended(60, 0), extended(60, 0), extended(60, 0), extended(60, 0), extended(0, 0)),
			want: extension},
		{name: "two fragment headers", bytes: then(extended(44, 0), extended(44, 0)), want: extension},
	}
	for _, next := range []byte{51, 135, 139, 140} {
		name := "next header " + packet.Protocol(next).String()
		cases = append(cases, packetCase{name: name, bytes: pokeIP(6, next), want: extension})
	}
	return onlyFor(isV6, cases)
}

func tcpCases() []packetCase {
	bad, sent := dropped(lb.MalformedL4), sentTo(plain, West)
	return onlyFor(isTCP, []packetCase{
		{name: "syn", packet: func(_ scene, p *Packet) { p.Flags, p.Payload = 0x02, nil }, want: sent},
		{name: "no flags", packet: func(_ scene, p *Packet) { p.Flags = 0 }, want: sent},
		{name: "all flags", packet: func(_ scene, p *Packet) { p.Flags = 0xff }, want: sent},
		{name: "data offset 0", bytes: pokeL4(12, 0x00), want: bad},
		{name: "data offset 4", bytes: pokeL4(12, 0x40), want: bad},
		{name: "data offset 4, to nobody", packet: to(99), bytes: pokeL4(12, 0x40), want: bad},
		{name: "tcp options", bytes: pokeL4(12, 0xf0), want: sent},
		{name: "data offset up to the end", packet: payload(40), bytes: pokeL4(12, 0xf0), want: sent},
		{name: "data offset past the end", packet: payload(39), bytes: pokeL4(12, 0xf0), want: bad},
		{name: "data offset past ip's end", bytes: then(ipPayload(23), pokeL4(12, 0x60)), want: bad},
		{name: "reserved bits", bytes: pokeL4(12, 0x5f), want: sent},
		{name: "19 bytes of tcp", bytes: ipPayload(19), want: bad},
		{name: "20 bytes of tcp", bytes: ipPayload(20), want: sent},
		{name: "no bytes of tcp", bytes: ipPayload(0), want: bad},
	})
}

func udpCases() []packetCase {
	bad, sent := dropped(lb.MalformedL4), sentTo(plain, West)
	return onlyFor(isUDP, []packetCase{
		{name: "udp length 0", bytes: pokeL4(4, 0, 0), want: bad},
		{name: "udp length 7", bytes: pokeL4(4, 0, 7), want: bad},
		{name: "udp length 7, to nobody", packet: to(99), bytes: pokeL4(4, 0, 7), want: bad},
		{name: "udp length 8", bytes: pokeL4(4, 0, 8), want: sent},
		{name: "udp length past the end", packet: payload(3), bytes: pokeL4(4, 0, 12), want: bad},
		{name: "udp length up to the end", packet: payload(3), bytes: pokeL4(4, 0, 11), want: sent},
		{name: "udp length past ip's end", bytes: ipPayload(9), want: bad},
		{name: "7 bytes of udp", bytes: ipPayload(7), want: bad},
		{name: "8 bytes of udp", bytes: then(ipPayload(8), pokeL4(4, 0, 8)), want: sent},
		{name: "no udp checksum", bytes: pokeL4(6, 0, 0), want: sent},
	})
}

func onlyFor(only func(scene) bool, cases []packetCase) []packetCase {
	for i := range cases {
		cases[i].only = only
	}
	return cases
}

// extended inserts an extension header of 8 bytes before what follows IPv6's; fourth is its byte 3.
func extended(kind, fourth byte) func(scene, []byte) []byte {
	return func(s scene, frame []byte) []byte {
		header := []byte{frame[ethernet+6], 0, 0, fourth, 0, 0, 0, 0}
		return ipBytes(8)(s, pokeIP(6, kind)(s, slices.Insert(frame, ethernet+40, header...)))
	}
}

// untouched is for frames that come with something that they leave without.
func untouched(_ scene, _, out []byte) []byte { return out }
