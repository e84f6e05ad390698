package oracle

import (
	"encoding/binary"
	"net/netip"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// ok is the reason of a packet that is not decided yet.
const ok lb.Reason = ""

// macBytes is the length of the two addresses that an Ethernet header begins with.
const macBytes = 12

// EtherTypes (IANA "IEEE 802 Numbers").
const (
	etherIPv4    = 0x0800
	etherIPv6    = 0x86dd
	ether8021Q   = 0x8100
	ether8021AD  = 0x88a8
	mostTags     = 2
	bytesPerTag  = 4
	etherTypeLen = 2
)

// part says which part of a packet a fragment is.
type part uint8

const (
	whole part = iota
	first
	later
)

// parsed is what the pipeline needs of a packet. Offsets count from the beginning of the IP header.
type parsed struct {
	// tags are the VLAN tags as they stand in the frame, each with its EtherType first.
	tags []byte
	// ip is the IP packet, and what follows it in the frame: Ethernet padding.
	ip []byte
	// length is the length of the IP packet, header included.
	length int
	v4     bool
	ttl    uint8
	// plain: an IP header without options or extension headers.
	plain               bool
	source, destination netip.Addr
	part                part
	// id is the identification that the fragments of a packet share.
	id uint32
	// protocol is what is carried; not known of a later fragment in IPv6.
	protocol packet.Protocol
	// l4 is the offset of what is carried.
	l4 int
	// named is the offset of the field that says what is carried, in IPv6.
	named int
	// flow is the 4-tuple, unless the packet does not carry the ports itself.
	flow packet.Flow
	// isSYN: TCP with SYN and without ACK, the first packet of a connection.
	isSYN bool
	// isFIN, isRST and hasData are of TCP.
	isFIN, isRST, hasData bool
}

// parse reads a frame as far as the ports, or says why it cannot.
func parse(frame []byte) (parsed, lb.Reason) {
	if len(frame) < macBytes+etherTypeLen {
		return parsed{}, lb.MalformedEthernet
	}
	rest := frame[macBytes:]
	for isTag(rest) {
		if len(frame)-len(rest) == macBytes+mostTags*bytesPerTag {
			return parsed{}, lb.VLANTagged
		}
		if len(rest) < bytesPerTag+etherTypeLen {
			return parsed{}, lb.MalformedEthernet
		}
		rest = rest[bytesPerTag:]
	}
	p := parsed{tags: frame[macBytes : len(frame)-len(rest)], ip: rest[etherTypeLen:]}
	etherType := binary.BigEndian.Uint16(rest)
	switch {
	case etherType != etherIPv4 && etherType != etherIPv6:
		return p, lb.NotIP
	case frame[0]&1 != 0: // a group (IEEE 802)
		return p, lb.OtherMAC
	case etherType == etherIPv4:
		return p.parseIPv4()
	}
	return p.parseIPv6()
}

// isTag reports whether a VLAN tag begins here.
func isTag(frame []byte) bool {
	t := binary.BigEndian.Uint16(frame)
	return t == ether8021Q || t == ether8021AD
}

// segment returns what is carried, up to the end by the IP header.
func (p parsed) segment() []byte { return p.ip[p.l4:p.length] }

// Offsets into the headers of TCP (RFC 9293) and UDP (RFC 768).
const (
	tcpSequence     = 4
	tcpAcknowledged = 8
	tcpFlags        = 13
	tcpChecksum     = 16
	tcpHeader       = 20
	tcpFIN          = 0x01
	tcpSYN          = 0x02
	tcpRST          = 0x04
	tcpACK          = 0x10
	udpLength       = 4
	udpChecksum     = 6
	udpHeader       = 8
)

// parseL4 reads the ports of TCP and UDP.
func (p parsed) parseL4() (parsed, lb.Reason) {
	switch segment := p.segment(); p.protocol {
	case packet.TCP:
		// The data offset, in words, is in the high 4 bits of byte 12.
		if len(segment) < tcpHeader || segment[12]>>4 < 5 || int(segment[12]>>4)*4 > len(segment) {
			return p, lb.MalformedL4
		}
		flags := segment[tcpFlags]
		p.isSYN = flags&(tcpSYN|tcpACK) == tcpSYN
		p.isFIN, p.isRST = flags&tcpFIN != 0, flags&tcpRST != 0
		p.hasData = len(segment) > int(segment[12]>>4)*4
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

// isICMP reports whether the packet is one of the ICMP of its IP version, and no fragment.
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

// addressAt reads an address of 4 or 16 bytes. An IPv6 address ::ffff:a.b.c.d in a header stays IPv6, so it
// never equals an IPv4 address.
func addressAt(b []byte, at, length int) netip.Addr {
	a, _ := netip.AddrFromSlice(b[at : at+length])
	return a
}
