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
