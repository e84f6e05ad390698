package oracle

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// quote is the packet that an ICMP error quotes: its IP header, 8 bytes of TCP or UDP, and maybe more. Lengths
// in its headers are those of the whole packet.
type quote struct {
	// at is the offset of its IP header, l4 that of TCP or UDP, from the error's IP header.
	at, l4 int
	// checksum is the offset of the TCP or UDP checksum, 0 if it was not quoted or UDP has none.
	checksum int
	protocol packet.Protocol
}

// readQuote sets the flow to that which the receiver of the quoted packet sends: to a VIP if the packet was
// from it, from a replica if the packet was to it.
func (d *decision) readQuote() lb.Reason {
	q, source, destination, found := d.quoteIPv6()
	if d.v4 {
		q, source, destination, found = d.quoteIPv4()
	}
	quoted := d.ip[:d.length]
	// Errors go to the sender of what they quote.
	if !found || source != d.destination || len(quoted) < q.l4+8 || hasPorts(q.protocol) != ok {
		return lb.NotTCPUDP
	}
	q.checksum = checksumAt(quoted, q.l4, q.protocol)
	d.quote = &q
	d.flow = packet.Flow{
		Source:      netip.AddrPortFrom(destination, binary.BigEndian.Uint16(quoted[q.l4+2:])),
		Destination: netip.AddrPortFrom(source, binary.BigEndian.Uint16(quoted[q.l4:])),
		Protocol:    q.protocol,
	}
	return ok
}

// quoteIPv4 reads a quoted header with its options. The packet may be a first fragment.
func (d *decision) quoteIPv4() (q quote, source, destination netip.Addr, found bool) {
	q.at = d.l4 + icmpHeader
	header := d.ip[q.at:d.length]
	if len(header) < v4Header || header[0]>>4 != 4 || header[0]&0xf < 5 {
		return q, source, destination, false
	}
	q.l4 = q.at + int(header[0]&0xf)*4
	q.protocol = packet.Protocol(header[v4Protocol])
	isLater := partOfIPv4(binary.BigEndian.Uint16(header[v4Fragment:])) == later
	return q, addressAt(header, v4Source, 4), addressAt(header, v4Destination, 4), !isLater
}

// quoteIPv6 reads a quoted header that TCP or UDP follows directly.
func (d *decision) quoteIPv6() (q quote, source, destination netip.Addr, found bool) {
	q.at = d.l4 + icmpHeader
	header := d.ip[q.at:d.length]
	if len(header) < v6Header || header[0]>>4 != 6 {
		return q, source, destination, false
	}
	q.l4 = q.at + v6Header
	q.protocol = packet.Protocol(header[v6Next])
	return q, addressAt(header, v6Source, 16), addressAt(header, v6Destination, 16), true
}

// requoted returns a copy of the packet in which the quoted packet has the ends of another flow, whose source
// is the quoted packet's receiver. The ICMP checksum is updated for all that has changed.
func (d *decision) requoted(to packet.Flow) []byte {
	ip := slices.Clone(d.ip)
	q := d.quote
	var l4, withIP []int
	if q.checksum != 0 {
		l4 = []int{q.checksum}
	}
	withIP = l4
	source, destination := q.at+v6Source, q.at+v6Destination
	if d.v4 {
		source, destination = q.at+v4Source, q.at+v4Destination
		withIP = append([]int{q.at + v4Checksum}, l4...)
	}
	replace(ip, source, address(to.Destination), withIP)
	replace(ip, destination, address(to.Source), withIP)
	replace(ip, q.l4, portBytes(to.Destination), l4)
	replace(ip, q.l4+2, portBytes(to.Source), l4)
	if q.checksum != 0 && q.protocol == packet.UDP {
		avoidZero(ip[q.checksum:])
	}
	d.reconcile(ip, d.l4, d.l4+icmpChecksum)
	return ip
}

// reconcile updates the checksum of an ICMP message, in which something has changed before its last odd byte.
func (d *decision) reconcile(ip []byte, from, checksum int) {
	sum := binary.BigEndian.Uint16(ip[checksum:])
	for at := from; at+1 < d.length; at += 2 {
		was, is := binary.BigEndian.Uint16(d.ip[at:]), binary.BigEndian.Uint16(ip[at:])
		sum = update(sum, was, is)
	}
	binary.BigEndian.PutUint16(ip[checksum:], sum)
}
