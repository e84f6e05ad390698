package contract

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"lbctl/rss/packet"
)

// fragments cuts a packet into fragments at offsets of what it carries, multiples of 8.
func (p Packet) fragments(id uint32, at ...int) []Packet {
	carried := p.Carried
	if carried == nil {
		carried = p.segment()
	}
	var all []Packet
	bounds := slices.Concat([]int{0}, at, []int{len(carried)})
	for i, from := range bounds[:len(bounds)-1] {
		part := p
		part.Carried = carried[from:bounds[i+1]]
		part.Fragment = &Fragment{ID: id, Offset: from, More: i < len(at)}
		all = append(all, part)
	}
	return all
}

// icmp makes the packet carry an ICMP or ICMPv6 message between its addresses: type, code, four bytes
// and what follows.
func (p Packet) icmp(kind, code byte, rest [4]byte, body []byte) Packet {
	p.Flow.Source = netip.AddrPortFrom(p.Flow.Source.Addr(), 0)
	p.Flow.Destination = netip.AddrPortFrom(p.Flow.Destination.Addr(), 0)
	message := slices.Concat([]byte{kind, code, 0, 0}, rest[:], body)
	sum := message
	p.Flow.Protocol = packet.ICMP
	if !p.Flow.Source.Addr().Is4() {
		p.Flow.Protocol = packet.ICMPv6
		sum = append(pseudo(p.Flow, len(message)), message...)
	}
	binary.BigEndian.PutUint16(message[2:], checksum(sum))
	p.Carried = message
	return p
}

// encapsulate puts the IP packet of a frame with so many tags into another one: RFC 2003, RFC 2473. Of
// the tunnel the ports and the protocol do not matter.
func encapsulate(frame []byte, tags int, tunnel packet.Flow, label uint32) []byte {
	inner := frame[ethernet+4*tags:]
	outer := Packet{Flow: tunnel, TTL: 64, DontFragment: true, Label: label}
	length := int(binary.BigEndian.Uint16(inner[2:]))
	outer.Flow.Protocol, outer.Class = packet.InnerIPv4, inner[1]
	if inner[0]>>4 == 6 {
		length = 40 + int(binary.BigEndian.Uint16(inner[4:]))
		outer.Flow.Protocol, outer.Class = packet.InnerIPv6, inner[0]<<4|inner[1]>>4
	}
	for i := range tags {
		tag := frame[12+4*i:]
		outer.Tags = append(outer.Tags, Tag{binary.BigEndian.Uint16(tag), binary.BigEndian.Uint16(tag[2:])})
	}
	copy(outer.Destination[:], frame)
	copy(outer.Source[:], frame[6:])
	outer.Carried = inner[:length]
	return append(outer.Frame(), inner[length:]...) // Ethernet padding
}
