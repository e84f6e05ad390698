package oracle

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// Offsets into an ICMP message (RFC 792, RFC 4443). An error quotes a packet behind the header.
const (
	icmpChecksum = 2
	icmpMTU      = 4
	icmpHeader   = 8
)

// icmp answers an echo request, or finds the flow that an error is about.
func (d *decision) icmp() lb.Reason {
	message := d.segment()
	request, reply := byte(8), byte(0)
	if !d.v4 {
		request, reply = 128, 129
	}
	if message[0] == request && message[1] == 0 {
		return d.echo(reply)
	}
	if !d.isError(message[0]) {
		return lb.NotTCPUDP
	}
	d.isErrorMessage = true
	return d.readQuote()
}

// isError reports whether an ICMP message of a type quotes a packet that did not get through: destination
// unreachable, source quench, packet too big, time exceeded, parameter problem.
func (p parsed) isError(messageType byte) bool {
	if p.v4 {
		return slices.Contains([]byte{3, 4, 11, 12}, messageType)
	}
	return messageType >= 1 && messageType <= 4
}

// echo answers for a VIP with that address, whatever its ports.
func (d *decision) echo(reply byte) lb.Reason {
	if !d.plain || !d.view.IsVIP(d.destination) {
		return lb.NotTCPUDP
	}
	if d.martian() {
		return lb.MartianSource
	}
	ip := slices.Clone(d.ip)
	// The addresses change places, which no checksum notices.
	d.writeSource(ip, d.destination)
	d.writeDestination(ip, d.source)
	d.writeTTL(ip, answerTTL)
	replace(ip, d.l4, []byte{reply, 0}, []int{d.l4 + icmpChecksum})
	d.answer(ip)
	return lb.EchoAnswered
}

// answer sends an IP packet back to the sender of the frame, with its tags.
func (d *decision) answer(ip []byte) {
	d.out = slices.Concat(d.frame[6:12], d.frame[0:6], d.tags, etherTypeOf(ip), ip)
	d.egress = d.ingress
}

// answerable reports whether an address is one from which a single host sends: not of this network (RFC 1122,
// section 3.2.1.3) or unspecified, loopback, multicast, broadcast, or IPv4 mapped in an IPv6 header.
func answerable(a netip.Addr) bool {
	if a.Is4() {
		b := a.As4()
		group := b[0]>>4 == 0xe
		return b[0] != 0 && b[0] != 127 && !group && b != [4]byte{255, 255, 255, 255}
	}
	return a != netip.IPv6Unspecified() && a != netip.IPv6Loopback() && a.As16()[0] != 0xff && !a.Is4In6()
}

// How many bytes of a packet that is too big are quoted to its sender: IPv4 the longest header and 8 bytes
// (RFC 792), IPv6 with some room for extension headers.
const (
	quoteIPv4 = 68
	quoteIPv6 = 128
)

// leastIPv6MTU is what every link carries of IPv6: RFC 8200, section 5.
const leastIPv6MTU = 1280

// tooBig decides about a packet that is longer than the MTU. It is ok if the kernel sends it once it is rewritten:
// super-packets, whose segments are cut later, and what may be fragmented. Otherwise the sender is told, unless it must
// not be answered: RFC 1191, section 4; RFC 4443, sections 2.4 and 3.2.
func (d *decision) tooBig(mtu int) lb.Reason {
	nat := d.service == nil || d.service.Mode == lb.NAT
	switch {
	case d.isSuperPacket() && nat:
		d.passed = lb.SuperPacketPassed
	case d.isSuperPacket():
		return lb.SuperPacket
	case nat && d.mayBeFragmented():
		d.passed = lb.TooBigPassed
	case !d.v4 && d.length <= leastIPv6MTU:
		return lb.TunnelTooNarrow
	case d.quote != nil || d.part == later || !answerable(d.source) || d.length < d.quoteBytes():
		return lb.TooBig
	default:
		if !d.v4 {
			mtu = max(mtu, leastIPv6MTU)
		}
		d.answer(d.tooBigMessage(mtu))
		return lb.TooBigAnswered
	}
	return ok
}

// isSuperPacket reports whether a packet is longer than what the link that it came by can carry: it is several
// segments that have not been cut yet, or that the kernel has put together.
func (d *decision) isSuperPacket() bool {
	mtu := d.view.LinkMTU(d.ingress)
	return mtu > 0 && d.length > mtu && d.quote == nil && d.part == whole
}

// mayBeFragmented: IPv4 without DF. What IPv6 promises to carry, the kernel sends on.
func (d *decision) mayBeFragmented() bool {
	if !d.v4 {
		return d.length <= leastIPv6MTU
	}
	return binary.BigEndian.Uint16(d.ip[v4Fragment:])&v4DontFragment == 0
}

func (p parsed) quoteBytes() int {
	if p.v4 {
		return quoteIPv4
	}
	return quoteIPv6
}

// tooBigMessage has the destination of the packet as its source: the VIP.
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
