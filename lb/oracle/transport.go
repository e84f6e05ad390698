package oracle

import (
	"encoding/binary"
	"net/netip"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// Offsets into the headers of TCP (RFC 9293) and UDP (RFC 768).
const (
	tcpFlags    = 13
	tcpChecksum = 16
	tcpHeader   = 20
	tcpSYN      = 0x02
	tcpACK      = 0x10
	udpLength   = 4
	udpChecksum = 6
	udpHeader   = 8
)

// parseL4 reads the ports of TCP and UDP.
func (p parsed) parseL4() (parsed, lb.Reason) {
	switch segment := p.segment(); p.protocol {
	case packet.TCP:
		// The data offset, in words, is in the high 4 bits of byte 12.
		if len(segment) < tcpHeader || segment[12]>>4 < 5 || int(segment[12]>>4)*4 > len(segment) {
			return p, lb.MalformedL4
		}
		p.isSYN = segment[tcpFlags]&(tcpSYN|tcpACK) == tcpSYN
	case packet.UDP:
		if len(segment) < udpHeader {
			return p, lb.MalformedL4
		}
		length := int(binary.BigEndian.Uint16(segment[udpLength:])) // of all fragments together
		if length < udpHeader || length > len(segment) && p.part == whole {
			return p, lb.MalformedL4
		}
	default:
		if !p.isICMP() {
			return p, lb.NotTCPUDP
		}
		if len(segment) < icmpHeader {
			return p, lb.MalformedL4
		}
		return p, ok
	}
	ports := p.segment()
	p.flow = p.flowWith(p.protocol, binary.BigEndian.Uint16(ports), binary.BigEndian.Uint16(ports[2:]))
	return p, ok
}

// isICMP tells whether the packet is one of the ICMP of its IP version, and no fragment.
func (p parsed) isICMP() bool {
	if p.v4 {
		return p.part == whole && p.protocol == packet.ICMP
	}
	return p.part == whole && p.protocol == packet.ICMPv6
}

// hasPorts is ok for TCP and UDP.
func hasPorts(p packet.Protocol) lb.Reason {
	if p == packet.TCP || p == packet.UDP {
		return ok
	}
	return lb.NotTCPUDP
}

// flowWith returns the flow between the packet's addresses.
func (p parsed) flowWith(protocol packet.Protocol, source, destination uint16) packet.Flow {
	return packet.Flow{
		Source:      netip.AddrPortFrom(p.source, source),
		Destination: netip.AddrPortFrom(p.destination, destination),
		Protocol:    protocol,
	}
}

// addressAt reads an address of 4 or 16 bytes. An IPv6 address ::ffff:a.b.c.d on the wire stays
// one, and so is never equal to an IPv4 address.
func addressAt(b []byte, at, length int) netip.Addr {
	a, _ := netip.AddrFromSlice(b[at : at+length])
	return a
}
