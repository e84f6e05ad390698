package oracle

import (
	"encoding/binary"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// Offsets into the IPv4 header of RFC 791.
const (
	v4TOS         = 1
	v4Length      = 2
	v4ID          = 4
	v4Fragment    = 6
	v4TTL         = 8
	v4Protocol    = 9
	v4Checksum    = 10
	v4Source      = 12
	v4Destination = 16
	v4Header      = 20
)

// The 16 bits at v4Fragment: one reserved, don't fragment, more fragments, 13 bits of offset.
const (
	v4DontFragment  = 0x4000
	v4MoreFragments = 0x2000
	v4Offset        = 0x1fff
)

// parseIPv4 reads the header. Options are skipped, whatever they are.
func (p parsed) parseIPv4() (parsed, lb.Reason) {
	if len(p.ip) < v4Header {
		return p, lb.MalformedIP
	}
	p.v4, p.l4 = true, int(p.ip[0]&0xf)*4
	p.length = int(binary.BigEndian.Uint16(p.ip[v4Length:]))
	if p.ip[0]>>4 != 4 || p.l4 < v4Header || p.length < p.l4 || p.length > len(p.ip) {
		return p, lb.MalformedIP
	}
	p.plain, p.ttl = p.l4 == v4Header, p.ip[v4TTL]
	p.source = addressAt(p.ip, v4Source, 4)
	p.destination = addressAt(p.ip, v4Destination, 4)
	p.protocol = packet.Protocol(p.ip[v4Protocol])
	p.part = partOfIPv4(binary.BigEndian.Uint16(p.ip[v4Fragment:]))
	p.id = uint32(binary.BigEndian.Uint16(p.ip[v4ID:]))
	if p.part == later {
		return p, hasPorts(p.protocol)
	}
	return p.parseL4()
}

func partOfIPv4(bits uint16) part {
	switch {
	case bits&v4Offset != 0:
		return later
	case bits&v4MoreFragments != 0:
		return first
	}
	return whole
}

// Offsets into the IPv6 header of RFC 8200.
const (
	v6Length      = 4
	v6Next        = 6
	v6HopLimit    = 7
	v6Source      = 8
	v6Destination = 24
	v6Header      = 40
)

// Values of a next header field (IANA "Assigned Internet Protocol Numbers").
const (
	nextHopByHop    = 0
	nextRouting     = 43
	nextFragment    = 44
	nextAH          = 51
	nextDestination = 60
	nextMobility    = 135
	nextHIP         = 139
	nextShim6       = 140
)

// mostExtensions is the number of extension headers that are skipped at most, fragment headers included.
const mostExtensions = 6

// parseIPv6 reads the header and those that follow it.
func (p parsed) parseIPv6() (parsed, lb.Reason) {
	if len(p.ip) < v6Header {
		return p, lb.MalformedIP
	}
	p.length = v6Header + int(binary.BigEndian.Uint16(p.ip[v6Length:]))
	if p.ip[0]>>4 != 6 || p.length > len(p.ip) {
		return p, lb.MalformedIP
	}
	p.ttl = p.ip[v6HopLimit]
	p.source = addressAt(p.ip, v6Source, 16)
	p.destination = addressAt(p.ip, v6Destination, 16)
	if reason := p.walk(); reason != ok {
		return p, reason
	}
	p.plain = p.l4 == v6Header
	if p.part == later {
		return p, ok
	}
	return p.parseL4()
}

// walk skips the extension headers. It stops behind the fragment header of a later fragment: what follows is
// not a header.
func (p *parsed) walk() lb.Reason {
	p.l4, p.named, p.protocol = v6Header, v6Next, packet.Protocol(p.ip[v6Next])
	fragments := 0
	for n := 1; p.part != later; n++ {
		reason := ok
		switch p.protocol {
		case nextAH, nextMobility, nextHIP, nextShim6:
			return lb.IPv6Extension
		case nextFragment:
			if fragments++; n > mostExtensions || fragments > 1 {
				return lb.IPv6Extension
			}
			reason = p.stepFragment()
		case nextHopByHop, nextDestination, nextRouting:
			if n > mostExtensions {
				return lb.IPv6Extension
			}
			reason = p.stepOptions()
		default:
			return ok
		}
		if reason != ok {
			return reason
		}
	}
	return ok
}

// stepOptions skips a header of options (RFC 8200, section 4.2), or of routing with no segments left.
func (p *parsed) stepOptions() lb.Reason {
	header := p.segment()
	if len(header) < 8 || (int(header[1])+1)*8 > len(header) {
		return lb.MalformedIP
	}
	if p.protocol == nextRouting && header[3] != 0 {
		return lb.IPv6Extension // this host is not the last: the kernel sees to it
	}
	p.protocol, p.named = packet.Protocol(header[0]), p.l4
	p.l4 += (int(header[1]) + 1) * 8
	return ok
}

// stepFragment reads a fragment header (RFC 8200, section 4.5). With offset 0 and no more fragments the packet
// is whole: RFC 6946.
func (p *parsed) stepFragment() lb.Reason {
	header := p.segment()
	if len(header) < 8 {
		return lb.MalformedIP
	}
	switch bits := binary.BigEndian.Uint16(header[2:]); {
	case bits&0xfff8 != 0:
		p.part = later
	case bits&1 != 0:
		p.part = first
	}
	p.id = binary.BigEndian.Uint32(header[4:])
	p.protocol, p.named = packet.Protocol(header[0]), p.l4
	p.l4 += 8
	return ok
}
