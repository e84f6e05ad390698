package model

import (
	"encoding/binary"
	"net/netip"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// ok is the reason of a packet about which nothing is decided yet.
const ok lb.Reason = ""

// ethernetBytes is the length of an Ethernet header without a VLAN tag.
const ethernetBytes = 14

// part says which part of an IP packet a frame carries.
type part uint8

const (
	whole part = iota
	first
	later
)

// parsed is what the pipeline needs to know of an IP packet. Offsets count from the beginning
// of the frame.
type parsed struct {
	// flow is the packet's, or the one that an ICMP error quotes, as its sender sent it. The flow of
	// a later fragment has no ports and, in IPv6, no protocol until they are recalled.
	flow packet.Flow
	v4   bool
	// tagBytes is the length of VLAN tags: 0, 4, 8.
	tagBytes int
	// ttl is the TTL or hop limit; ttlAt its offset.
	ttl   uint8
	ttlAt int
	// ipBytes is the length of the IP packet, header included.
	ipBytes int
	// ipAt is the offset of the IP header, sourceAt and destinationAt are those of the addresses,
	// l4At is that of TCP, UDP or ICMP.
	ipAt, sourceAt, destinationAt, l4At int
	part                                part
	fragmentID                          uint32
	// plain: neither IPv4 options nor IPv6 extension headers.
	plain bool
	// icmp: an ICMP packet, not a fragment; quote is set of an error about a flow.
	icmp  bool
	quote *quote
}

// l4 returns TCP, UDP or ICMP, as long as IP says.
func (p parsed) l4(frame []byte) []byte { return frame[p.l4At : p.ipAt+p.ipBytes] }

// parse reads a frame as far as the ports, or says why it cannot.
func parse(frame []byte) (parsed, lb.Reason) {
	if len(frame) < ethernetBytes {
		return parsed{}, lb.MalformedEthernet
	}
	p := parsed{}
	for isTag(frame[12+p.tagBytes:]) {
		if p.tagBytes == 8 {
			return p, lb.VLANTagged
		}
		p.tagBytes += 4
		if len(frame) < ethernetBytes+p.tagBytes {
			return p, lb.MalformedEthernet
		}
	}
	p.ipAt = ethernetBytes + p.tagBytes
	switch binary.BigEndian.Uint16(frame[p.ipAt-2:]) {
	case 0x0800:
		return parseIPv4(p, frame)
	case 0x86dd:
		return parseIPv6(p, frame)
	}
	return p, lb.NotIP
}

func isTag(etherType []byte) bool {
	t := binary.BigEndian.Uint16(etherType)
	return t == 0x8100 || t == 0x88a8
}

// parseIPv4 reads RFC 791's header. Options are not looked at.
func parseIPv4(p parsed, frame []byte) (parsed, lb.Reason) {
	ip := frame[p.ipAt:]
	if len(ip) < 20 {
		return p, lb.MalformedIP
	}
	version, header := ip[0]>>4, int(ip[0]&0xf)*4
	total := int(binary.BigEndian.Uint16(ip[2:]))
	if version != 4 || header < 20 || total < header || total > len(ip) {
		return p, lb.MalformedIP
	}
	p.v4, p.plain = true, header == 20
	p.ttl, p.ttlAt, p.ipBytes = ip[8], p.ipAt+8, total
	p.sourceAt, p.destinationAt, p.l4At = p.ipAt+12, p.ipAt+16, p.ipAt+header
	// Of the 16 bits: reserved, don't fragment, more fragments, 13 bits of offset.
	switch bits := binary.BigEndian.Uint16(ip[6:]); {
	case bits&0x1fff != 0:
		p.part = later
	case bits&0x2000 != 0:
		p.part = first
	}
	p.fragmentID = uint32(binary.BigEndian.Uint16(ip[4:]))
	return parseL4(p, frame, ip[9])
}

// parseIPv6 reads RFC 8200's header and those behind it.
func parseIPv6(p parsed, frame []byte) (parsed, lb.Reason) {
	ip := frame[p.ipAt:]
	if len(ip) < 40 {
		return p, lb.MalformedIP
	}
	total := 40 + int(binary.BigEndian.Uint16(ip[4:]))
	if ip[0]>>4 != 6 || total > len(ip) {
		return p, lb.MalformedIP
	}
	p.ttl, p.ttlAt, p.ipBytes = ip[7], p.ipAt+7, total
	p.sourceAt, p.destinationAt, p.l4At = p.ipAt+8, p.ipAt+24, p.ipAt+40
	protocol, reason := p.skipExtensions(frame, ip[6])
	if reason != ok {
		return p, reason
	}
	p.plain = p.l4At == p.ipAt+40
	return parseL4(p, frame, protocol)
}

// mostExtensions is how many extension headers are looked behind.
const mostExtensions = 6

// skipExtensions walks to the protocol, which of a later fragment it does not find.
func (p *parsed) skipExtensions(frame []byte, next uint8) (protocol uint8, _ lb.Reason) {
	fragments := 0
	for n := 0; ; n++ {
		switch next {
		case 51, 135, 139, 140: // AH, mobility, HIP, shim6
			return 0, lb.IPv6Extension
		case 0, 43, 44, 60: // hop-by-hop, routing, fragment, destination options
		default:
			return next, ok
		}
		if next == 44 {
			fragments++
		}
		if n == mostExtensions || fragments > 1 {
			return 0, lb.IPv6Extension
		}
		h := p.l4(frame)
		if len(h) < 8 || next != 44 && len(h) < 8*(int(h[1])+1) {
			return 0, lb.MalformedIP
		}
		switch next {
		case 44:
			p.readFragment(h)
			p.l4At += 8
			if p.part == later {
				return 0, ok
			}
		case 43:
			if h[3] != 0 { // segments left: this is not the packet's destination
				return 0, lb.IPv6Extension
			}
			fallthrough
		default:
			p.l4At += 8 * (int(h[1]) + 1)
		}
		next = h[0]
	}
}

// readFragment reads RFC 8200's fragment header, section 4.5.
func (p *parsed) readFragment(h []byte) {
	p.fragmentID = binary.BigEndian.Uint32(h[4:])
	switch bits := binary.BigEndian.Uint16(h[2:]); {
	case bits&0xfff8 != 0:
		p.part = later
	case bits&1 != 0:
		p.part = first
	}
}

// parseL4 reads the ports of the segment, which ends where IP says.
func parseL4(p parsed, frame []byte, protocol uint8) (parsed, lb.Reason) {
	p.flow = packet.Flow{
		Source: p.end(frame, p.sourceAt, 0), Destination: p.end(frame, p.destinationAt, 0),
		Protocol: packet.Protocol(protocol),
	}
	hasPorts := p.flow.Protocol == packet.TCP || p.flow.Protocol == packet.UDP
	if p.part == later {
		if p.v4 && !hasPorts {
			return p, lb.NotTCPUDP
		}
		return p, ok
	}
	segment := p.l4(frame)
	switch {
	case p.flow.Protocol == packet.TCP:
		// RFC 9293: data offset, in words, in the high 4 bits of byte 12.
		if len(segment) < 20 || segment[12]>>4 < 5 || int(segment[12]>>4)*4 > len(segment) {
			return p, lb.MalformedL4
		}
	case p.flow.Protocol == packet.UDP:
		if len(segment) < 8 {
			return p, lb.MalformedL4
		}
		length := int(binary.BigEndian.Uint16(segment[4:])) // of all fragments together
		if length < 8 || length > len(segment) && p.part == whole {
			return p, lb.MalformedL4
		}
	case p.part == whole && (p.v4 && protocol == 1 || !p.v4 && protocol == 58):
		if len(segment) < 8 {
			return p, lb.MalformedL4
		}
		p.icmp = true
		return p, ok
	default:
		return p, lb.NotTCPUDP
	}
	p.setPorts(segment[:4])
	return p, ok
}

// setPorts gives the flow source and destination port, as on the wire.
func (p *parsed) setPorts(ports []byte) {
	p.flow.Source = netip.AddrPortFrom(p.flow.Source.Addr(), binary.BigEndian.Uint16(ports))
	p.flow.Destination = netip.AddrPortFrom(p.flow.Destination.Addr(), binary.BigEndian.Uint16(ports[2:]))
}

// end makes an end of a flow of the address at an offset. An IPv6 address ::ffff:a.b.c.d on the wire
// stays one, and so is never equal to an IPv4 address.
func (p parsed) end(frame []byte, at int, port uint16) netip.AddrPort {
	bytes := 16
	if p.v4 {
		bytes = 4
	}
	a, _ := netip.AddrFromSlice(frame[at : at+bytes])
	return netip.AddrPortFrom(a, port)
}
