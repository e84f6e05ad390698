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

// parsed is what the pipeline needs to know of a TCP or UDP packet over IP. Offsets count
// from the beginning of the frame.
type parsed struct {
	flow packet.Flow
	v4   bool
	// ttl is the TTL or hop limit; ttlAt its offset.
	ttl   uint8
	ttlAt int
	// ipBytes is the length of the IP packet, header included.
	ipBytes int
	// sourceAt and destinationAt are the offsets of the addresses, l4At that of TCP or UDP.
	sourceAt, destinationAt, l4At int
}

// parse reads a frame as far as the ports, or says why it cannot.
func parse(frame []byte) (parsed, lb.Reason) {
	if len(frame) < ethernetBytes {
		return parsed{}, lb.MalformedEthernet
	}
	switch binary.BigEndian.Uint16(frame[12:]) {
	case 0x8100, 0x88a8:
		return parsed{}, lb.VLANTagged
	case 0x0800:
		return parseIPv4(frame)
	case 0x86dd:
		return parseIPv6(frame)
	}
	return parsed{}, lb.NotIP
}

// parseIPv4 reads RFC 791's header.
func parseIPv4(frame []byte) (parsed, lb.Reason) {
	ip := frame[ethernetBytes:]
	if len(ip) < 20 {
		return parsed{}, lb.MalformedIP
	}
	version, header := ip[0]>>4, int(ip[0]&0xf)*4
	total := int(binary.BigEndian.Uint16(ip[2:]))
	if version != 4 || header < 20 || total < header || total > len(ip) {
		return parsed{}, lb.MalformedIP
	}
	if header > 20 {
		return parsed{}, lb.IPOptions
	}
	// Of the 16 bits: reserved, don't fragment, more fragments, 13 bits of offset.
	if binary.BigEndian.Uint16(ip[6:])&0x3fff != 0 {
		return parsed{}, lb.Fragment
	}
	p := parsed{
		v4: true, ttl: ip[8], ttlAt: ethernetBytes + 8, ipBytes: total,
		sourceAt: ethernetBytes + 12, destinationAt: ethernetBytes + 16, l4At: ethernetBytes + 20,
	}
	return parseL4(p, ip[9], ip[12:16], ip[16:20], ip[20:total])
}

// parseIPv6 reads RFC 8200's header.
func parseIPv6(frame []byte) (parsed, lb.Reason) {
	ip := frame[ethernetBytes:]
	if len(ip) < 40 {
		return parsed{}, lb.MalformedIP
	}
	total := 40 + int(binary.BigEndian.Uint16(ip[4:]))
	if ip[0]>>4 != 6 || total > len(ip) {
		return parsed{}, lb.MalformedIP
	}
	switch ip[6] {
	case 0, 43, 51, 60, 135, 139, 140:
		return parsed{}, lb.IPv6Extension
	case 44:
		return parsed{}, lb.Fragment
	}
	p := parsed{
		ttl: ip[7], ttlAt: ethernetBytes + 7, ipBytes: total,
		sourceAt: ethernetBytes + 8, destinationAt: ethernetBytes + 24, l4At: ethernetBytes + 40,
	}
	return parseL4(p, ip[6], ip[8:24], ip[24:40], ip[40:total])
}

// parseL4 reads the ports of the segment, which ends where IP says.
func parseL4(p parsed, protocol uint8, source, destination, segment []byte) (parsed, lb.Reason) {
	p.flow.Protocol = packet.Protocol(protocol)
	switch p.flow.Protocol {
	case packet.TCP:
		// RFC 9293: data offset, in words, in the high 4 bits of byte 12.
		if len(segment) < 20 || segment[12]>>4 < 5 || int(segment[12]>>4)*4 > len(segment) {
			return p, lb.MalformedL4
		}
	case packet.UDP:
		if len(segment) < 8 {
			return p, lb.MalformedL4
		}
		if length := int(binary.BigEndian.Uint16(segment[4:])); length < 8 || length > len(segment) {
			return p, lb.MalformedL4
		}
	default:
		return p, lb.NotTCPUDP
	}
	p.flow.Source = endpoint(source, segment[0:2])
	p.flow.Destination = endpoint(destination, segment[2:4])
	return p, ok
}

// endpoint makes an address of 4 or 16 bytes and a port. An IPv6 address ::ffff:a.b.c.d on the wire
// stays one, and so is never equal to an IPv4 address.
func endpoint(address, port []byte) netip.AddrPort {
	a, _ := netip.AddrFromSlice(address)
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(port))
}
