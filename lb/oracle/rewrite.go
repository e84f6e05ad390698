package oracle

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// rewritten returns a copy of the IP packet with the addresses and ports of a flow and the checksums updated.
// A later fragment has neither ports nor a checksum of TCP or UDP. In a super-packet that is the sum of the pseudo
// header, not complemented; whoever cuts the segments adds the rest.
func (d *decision) rewritten(to packet.Flow) []byte {
	if d.passed != lb.SuperPacketPassed {
		return d.readdress(to)
	}
	ip := d.readdress(to)
	at := d.l4 + udpChecksum
	if d.protocol == packet.TCP {
		at = d.l4 + tcpChecksum
	}
	sum := sumWords(d.ip[at : at+2])
	for _, changed := range [][2][]byte{{address(d.flow.Source), address(to.Source)}, {address(d.flow.Destination), address(to.Destination)}} {
		for i := 0; i < len(changed[0]); i += 2 {
			sum += uint32(^binary.BigEndian.Uint16(changed[0][i:])) + uint32(binary.BigEndian.Uint16(changed[1][i:]))
		}
	}
	binary.BigEndian.PutUint16(ip[at:], fold(sum))
	return ip
}

func (p parsed) readdress(to packet.Flow) []byte {
	ip := slices.Clone(p.ip)
	var l4, withIP []int
	if p.part != later {
		if at := checksumAt(p.ip[:p.length], p.l4, p.protocol); at != 0 {
			l4 = []int{at}
		}
	}
	withIP = l4
	if p.v4 {
		withIP = append([]int{v4Checksum}, l4...)
	}
	source, destination := p.addressesAt()
	replace(ip, source, address(to.Source), withIP)
	replace(ip, destination, address(to.Destination), withIP)
	if p.part != later {
		replace(ip, p.l4, portBytes(to.Source), l4)
		replace(ip, p.l4+2, portBytes(to.Destination), l4)
	}
	if p.protocol == packet.UDP {
		for _, at := range l4 {
			avoidZero(ip[at:])
		}
	}
	return ip
}

// addressesAt returns the offsets of the addresses in the IP header.
func (p parsed) addressesAt() (source, destination int) {
	if p.v4 {
		return v4Source, v4Destination
	}
	return v6Source, v6Destination
}

// writeSource and writeDestination write an address and no checksum.
func (p parsed) writeSource(ip []byte, a netip.Addr) {
	source, _ := p.addressesAt()
	copy(ip[source:], a.AsSlice())
}

func (p parsed) writeDestination(ip []byte, a netip.Addr) {
	_, destination := p.addressesAt()
	copy(ip[destination:], a.AsSlice())
}

// writeTTL writes the TTL or hop limit.
func (p parsed) writeTTL(ip []byte, ttl uint8) {
	if p.v4 {
		// The word of the checksum is TTL and protocol.
		replace(ip, v4TTL, []byte{ttl, ip[v4Protocol]}, []int{v4Checksum})
		return
	}
	ip[v6HopLimit] = ttl
}

// address returns the 4 or 16 bytes of an end's address.
func address(a netip.AddrPort) []byte { return a.Addr().AsSlice() }

// checksumAt returns the offset of the checksum of TCP or UDP, whose header is at l4; 0 if the packet is too
// short or UDP has no checksum (RFC 768; allowed over IPv6 in tunnels, and forwarded unchanged: RFC 6935, RFC
// 6936).
func checksumAt(ip []byte, l4 int, protocol packet.Protocol) int {
	at := l4 + udpChecksum
	if protocol == packet.TCP {
		at = l4 + tcpChecksum
	}
	if at+2 > len(ip) {
		return 0
	}
	if protocol == packet.UDP && binary.BigEndian.Uint16(ip[at:]) == 0 {
		return 0
	}
	return at
}

// replace writes an even number of bytes at an offset, and updates the checksums at the
// offsets given.
func replace(b []byte, at int, bytes []byte, checksums []int) {
	for i := 0; i < len(bytes); i += 2 {
		was, is := binary.BigEndian.Uint16(b[at+i:]), binary.BigEndian.Uint16(bytes[i:])
		if was == is {
			continue // a checksum of 0xffff would become its equal 0
		}
		for _, c := range checksums {
			updated := update(binary.BigEndian.Uint16(b[c:]), was, is)
			binary.BigEndian.PutUint16(b[c:], updated)
		}
	}
	copy(b[at:], bytes)
}

// update returns the checksum after one 16-bit word has changed: RFC 1624, equation 3,
// HC' = ~(~HC + ~m + m').
func update(checksum, was, is uint16) uint16 {
	return ^fold(uint32(^checksum) + uint32(^was) + uint32(is))
}

// avoidZero writes UDP's checksum 0 as 0xffff, which equals it: 0 would mean that there is none.
func avoidZero(checksum []byte) {
	if binary.BigEndian.Uint16(checksum) == 0 {
		binary.BigEndian.PutUint16(checksum, 0xffff)
	}
}

// writeChecksum computes the checksum at an offset of b from scratch (RFC 1071), over b and a pseudo header
// before it, which has an even number of bytes.
func writeChecksum(b []byte, at int, pseudo []byte) {
	b[at], b[at+1] = 0, 0
	binary.BigEndian.PutUint16(b[at:], ^fold(sumWords(b)+sumWords(pseudo)))
}

// sumWords adds up the 16-bit words of up to 128 KiB.
func sumWords(b []byte) (sum uint32) {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8 // as if a zero followed
	}
	return sum
}

// fold adds the carries of a sum of words in ones' complement arithmetic.
func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}
