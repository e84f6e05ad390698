package model

import (
	"encoding/binary"
	"net/netip"

	"lbctl/rss/packet"
)

// rewrite gives the frame the addresses and ports of the flow to, one end of which is
// new, and updates the checksums.
func rewrite(frame []byte, p parsed, to packet.Flow) {
	if p.part == later {
		var checksums []int
		if p.v4 {
			checksums = []int{p.ipChecksumAt()}
		}
		replace(frame, p.sourceAt, address(to.Source), checksums)
		replace(frame, p.destinationAt, address(to.Destination), checksums)
		return
	}
	checksums := p.l4Checksum(frame)
	withIP := checksums
	if p.v4 {
		withIP = append([]int{p.ipChecksumAt()}, checksums...)
	}
	replace(frame, p.sourceAt, address(to.Source), withIP)
	replace(frame, p.destinationAt, address(to.Destination), withIP)
	replace(frame, p.l4At, portBytes(to.Source), checksums)
	replace(frame, p.l4At+2, portBytes(to.Destination), checksums)
	if p.flow.Protocol == packet.UDP {
		for _, at := range checksums {
			avoidZero(frame[at:])
		}
	}
}

// address returns the 4 or 16 bytes of an end's address.
func address(a netip.AddrPort) []byte { return a.Addr().AsSlice() }

// ipChecksumAt is the offset of the IPv4 header's checksum.
func (p parsed) ipChecksumAt() int { return p.ipAt + 10 }

// l4Checksum returns the offset of the checksum of TCP or UDP, none if the packet has none:
// UDP with 0 there (RFC 768; over IPv6 tunnels may send so, and whoever forwards
// leaves it: RFC 6935, RFC 6936).
func (p parsed) l4Checksum(frame []byte) []int {
	if p.flow.Protocol == packet.TCP {
		return []int{p.l4At + 16}
	}
	at := p.l4At + 6
	if binary.BigEndian.Uint16(frame[at:]) == 0 {
		return nil
	}
	return []int{at}
}

// avoidZero writes UDP's checksum 0 as its equal 0xffff: 0 means that there is none.
func avoidZero(checksum []byte) {
	if binary.BigEndian.Uint16(checksum) == 0 {
		binary.BigEndian.PutUint16(checksum, 0xffff)
	}
}

// replace writes an even number of bytes at an offset, and updates the checksums at the
// offsets given.
func replace(frame []byte, at int, bytes []byte, checksums []int) {
	for i := 0; i < len(bytes); i += 2 {
		was, is := binary.BigEndian.Uint16(frame[at+i:]), binary.BigEndian.Uint16(bytes[i:])
		for _, c := range checksums {
			updated := update(binary.BigEndian.Uint16(frame[c:]), was, is)
			binary.BigEndian.PutUint16(frame[c:], updated)
		}
	}
	copy(frame[at:], bytes)
}

// update returns the checksum after one 16-bit word has changed: RFC 1624, equation 3,
// HC' = ~(~HC + ~m + m').
func update(checksum, was, is uint16) uint16 {
	sum := uint32(^checksum) + uint32(^was) + uint32(is)
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// decrementTTL takes one off the TTL or hop limit.
func decrementTTL(frame []byte, p parsed) {
	if p.v4 {
		// The word of the checksum is TTL and protocol.
		replace(frame, p.ttlAt, []byte{p.ttl - 1, frame[p.ttlAt+1]}, []int{p.ipChecksumAt()})
		return
	}
	frame[p.ttlAt] = p.ttl - 1
}
