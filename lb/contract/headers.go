package contract

import (
	"encoding/binary"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

func isV4(s scene) bool  { return s.v4 }
func isV6(s scene) bool  { return !s.v4 }
func isTCP(s scene) bool { return s.protocol == packet.TCP }
func isUDP(s scene) bool { return s.protocol == packet.UDP }

// both selects the scenes of which two things are true.
func both(a, b func(scene) bool) func(scene) bool {
	return func(s scene) bool { return a(s) && b(s) }
}

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
func headerCases(s scene) []packetCase {
	return slices.Concat(ethernetCases(), ipv4Cases(), ipv6Cases(), tcpCases(), udpCases(s))
}

func ethernetCases() []packetCase {
	bad := dropped(lb.MalformedIP)
	return []packetCase{
		{name: "padding", bytes: pad(5), want: sentTo(plain, West)},
		{name: "arp", bytes: poke(12, 0x08, 0x06), want: passed(lb.NotIP)},
		{name: "802.3 length", bytes: poke(12, 0x00, 0x2e), want: passed(lb.NotIP)},
		{name: "ethertype of ipv6", only: isV4, bytes: poke(12, 0x86, 0xdd), want: bad},
		{name: "ethertype of ipv4", only: isV6, bytes: poke(12, 0x08, 0x00), want: bad},
		{name: "broadcast", packet: func(_ scene, p *Packet) {
			p.Destination = lb.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		}, want: passed(lb.OtherMAC)},
		{name: "multicast", packet: group, want: passed(lb.OtherMAC)},
		{name: "multicast, tags", packet: all(group, tagged(double...)), want: passed(lb.OtherMAC)},
		{name: "multicast, malformed", packet: group, bytes: ipBytes(1), want: passed(lb.OtherMAC)},
		{name: "multicast, echo", packet: group, build: echo, want: passed(lb.OtherMAC)},
		{name: "multicast, first fragment", packet: group, build: first(41), want: passed(lb.OtherMAC)},
		{name: "later fragment of a multicast", build: later(41), want: dropped(lb.FragmentOrphan)},
		{name: "multicast arp", packet: group, bytes: poke(12, 0x08, 0x06), want: passed(lb.NotIP)},
	}
}

// group makes the frame one to a group of stations.
func group(_ scene, p *Packet) { p.Destination = lb.MAC{0x01, 0x00, 0x5e, 0, 0, 1} }

func ipv4Cases() []packetCase {
	bad, sent, orphan := dropped(lb.MalformedIP), sentTo(plain, West), dropped(lb.FragmentOrphan)
	cases := []packetCase{
		{name: "version 5", bytes: pokeIP(0, 0x55), want: bad},
		{name: "ihl 4", bytes: pokeIP(0, 0x44), want: bad},
		{name: "ihl 0", bytes: pokeIP(0, 0x40), want: bad},
		{name: "ihl past the total length", bytes: then(pokeIP(0, 0x4f), pokeIP(2, 0, 59)), want: bad},
		{name: "total length 0", bytes: pokeIP(2, 0, 0), want: bad},
		{name: "total length 19", bytes: pokeIP(2, 0, 19), want: bad},
		{name: "total length 20", bytes: pokeIP(2, 0, 20), want: dropped(lb.MalformedL4)},
		{name: "total length past the end", bytes: ipBytes(1), want: bad},
		{name: "total length past the end, not ours", packet: to(99), bytes: ipBytes(1), want: passed(lb.NotOurs)},
		{name: "id", bytes: pokeIP(4, 0xab, 0xcd), want: sent},
		{name: "reserved flag", bytes: pokeIP(6, 0x80, 0), want: sent},
		{name: "don't fragment", bytes: pokeIP(6, 0x40, 0), want: sent},
		{name: "last fragment", bytes: pokeIP(6, 0x00, 0x01), want: orphan},
		{name: "fragment at the highest offset", bytes: pokeIP(6, 0x1f, 0xff), want: orphan},
		{name: "fragment, not to be fragmented", bytes: pokeIP(6, 0x5f, 0xff), want: orphan},
		{name: "later fragment, ttl 1", bytes: then(pokeIP(8, 1), pokeIP(6, 0, 1)), want: orphan},
		{name: "later fragment to nobody", packet: to(99), bytes: pokeIP(6, 0, 1), want: passed(lb.NotOurs)},
		{name: "first fragment of icmp", bytes: then(pokeIP(9, 1), pokeIP(6, 0x20, 0)), want: passed(lb.NotTCPUDP)},
		{name: "later fragment of icmp", bytes: then(pokeIP(9, 1), pokeIP(6, 0, 9)), want: passed(lb.NotTCPUDP)},
		{name: "later fragment of another protocol", bytes: then(pokeIP(9, 132), pokeIP(6, 0, 9)), want: passed(lb.NotTCPUDP)},
		{name: "ipv4 protocol 58", bytes: pokeIP(9, 58), want: passed(lb.NotTCPUDP)},
		{name: "protocol 0", bytes: pokeIP(9, 0), want: passed(lb.NotTCPUDP)},
	}
	return onlyFor(isV4, cases)
}

func ipv6Cases() []packetCase {
	bad := dropped(lb.MalformedIP)
	cases := []packetCase{
		{name: "version 7", bytes: pokeIP(0, 0x70), want: bad},
		{name: "traffic class and flow label", bytes: pokeIP(0, 0x6f, 0xff, 0xff, 0xff), want: sentTo(plain, West)},
		{name: "payload length 0", bytes: pokeIP(4, 0, 0), want: dropped(lb.MalformedL4)},
		{name: "payload length past the end", bytes: ipBytes(1), want: bad},
		{name: "payload length past the end, not ours", packet: to(99), bytes: ipBytes(1), want: passed(lb.NotOurs)},
		{name: "ipv6 protocol 1", bytes: pokeIP(6, 1), want: passed(lb.NotTCPUDP)},
		{name: "no next header", bytes: pokeIP(6, 59), want: passed(lb.NotTCPUDP)},
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
		{name: "data offset 4, to nobody", packet: to(99), bytes: pokeL4(12, 0x40), want: passed(lb.NotOurs)},
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

func udpCases(s scene) []packetCase {
	bad, sent := dropped(lb.MalformedL4), sentTo(plain, West)
	return onlyFor(isUDP, []packetCase{
		{name: "udp length 0", bytes: pokeL4(4, 0, 0), want: bad},
		{name: "udp length 7", bytes: pokeL4(4, 0, 7), want: bad},
		{name: "udp length 7, to nobody", packet: to(99), bytes: pokeL4(4, 0, 7), want: passed(lb.NotOurs)},
		{name: "udp length 8", bytes: pokeL4(4, 0, 8), want: sent},
		{name: "udp length past the end", packet: payload(3), bytes: pokeL4(4, 0, 12), want: bad},
		{name: "udp length up to the end", packet: payload(3), bytes: pokeL4(4, 0, 11), want: sent},
		{name: "udp length past ip's end", bytes: ipPayload(9), want: bad},
		{name: "7 bytes of udp", bytes: ipPayload(7), want: bad},
		{name: "8 bytes of udp", bytes: then(ipPayload(8), pokeL4(4, 0, 8)), want: sent},
		{name: "no udp checksum", bytes: pokeL4(6, 0, 0), want: sent},
		{name: "no udp checksum, answer", only: isNAT, ingress: West, packet: answer, bytes: pokeL4(6, 0, 0), want: returnedTo(East)},
		{name: "no udp checksum, neighbour unknown", packet: to(unresolved), bytes: pokeL4(6, 0, 0), want: s.waiting(unresolved)},
	})
}

func onlyFor(only func(scene) bool, cases []packetCase) []packetCase {
	for i, c := range cases {
		cases[i].only = only
		if c.only != nil {
			cases[i].only = both(only, c.only)
		}
	}
	return cases
}
