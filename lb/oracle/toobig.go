package oracle

import (
	"encoding/binary"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// How much of a packet that is too big its sender gets back: of IPv4 the longest header and 8 bytes
// (RFC 792), of IPv6 with some room for extension headers.
const (
	quoteIPv4 = 68
	quoteIPv6 = 128
)

// tooBig tells the sender of a packet that no more than mtu bytes get through, if it is one to be told:
// RFC 1191, section 4; RFC 4443, sections 2.4 and 3.2.
func (d *decision) tooBig(mtu int) lb.Reason {
	mayFragment := d.v4 && binary.BigEndian.Uint16(d.ip[v4Fragment:])&v4DontFragment == 0
	if mayFragment || d.quote != nil || d.part == later || !answerable(d.source) || d.length < d.quoteBytes() {
		return lb.TooBig
	}
	d.answer(d.tooBigMessage(mtu))
	return lb.TooBigAnswered
}

func (p parsed) quoteBytes() int {
	if p.v4 {
		return quoteIPv4
	}
	return quoteIPv6
}

// tooBigMessage comes from whom the packet was for: the VIP.
func (d *decision) tooBigMessage(mtu int) []byte {
	ends := lb.Tunnel{Source: d.destination, Destination: d.source}
	header := []byte{3, 4, 0, 0, 0, 0, 0, 0} // unreachable, fragmentation needed
	if !d.v4 {
		header = []byte{2, 0, 0, 0, 0, 0, 0, 0}
	}
	binary.BigEndian.PutUint32(header[icmpMTU:], uint32(mtu)) // in IPv4 16 bits behind 16 unused
	message := slices.Concat(header, d.ip[:d.quoteBytes()])
	if d.v4 {
		writeChecksum(message, icmpChecksum, nil)
		const networkControl = 0xc0 // RFC 1812, section 4.3.2.5
		return slices.Concat(newIPv4(networkControl, len(message), 0, packet.ICMP, ends), message)
	}
	writeChecksum(message, icmpChecksum, pseudoIPv6(ends, len(message), packet.ICMPv6))
	return slices.Concat(newIPv6(0, 0, len(message), packet.ICMPv6, ends), message)
}

// pseudoIPv6 is the pseudo header of RFC 8200, section 8.1.
func pseudoIPv6(ends lb.Tunnel, bytes int, carried packet.Protocol) []byte {
	length := binary.BigEndian.AppendUint32(nil, uint32(bytes))
	return slices.Concat(ends.Source.AsSlice(), ends.Destination.AsSlice(), length, []byte{0, 0, 0, byte(carried)})
}
