package oracle

import (
	"encoding/binary"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// quote is the packet that an ICMP error quotes: its IP header, 8 bytes of TCP or UDP, and maybe more. Lengths
// in its headers are those of the whole packet.
type quote struct {
	// parsed is what can be read of it: offsets from its own header, no lengths.
	parsed
	// at is the offset of its IP header from the error's.
	at int
	// checksum is the offset of the TCP or UDP checksum from the error's IP header, 0 if it was not quoted or UDP has
	// none.
	checksum int
}

// readQuote sets the flow to that which the receiver of the quoted packet sends: to a VIP if the packet was
// from it, from a replica if the packet was to it.
func (d *decision) readQuote() lb.Reason {
	q, found := d.quotedAt(d.l4+icmpHeader, d.v4)
	if !found || q.source != d.destination { // errors go to the sender of what they quote
		return lb.NotTCPUDP
	}
	d.quote, d.flow = &q, q.flow.Reverse()
	return ok
}

// quotedAt reads the packet of TCP or UDP of which the beginning stands at an offset of the error.
func (d *decision) quotedAt(at int, v4 bool) (quote, bool) {
	if at > d.length {
		return quote{}, false
	}
	q := quote{at: at, parsed: parsed{ip: d.ip[at:d.length], length: d.length - at, v4: v4}}
	if !q.readHeaders() {
		return quote{}, false
	}
	if q.part == later {
		f, seen := d.view.Fragment(q.fragmentKey())
		q.flow = q.flowWith(f.Protocol, f.Source, f.Destination)
		return q, seen
	}
	if len(q.ip) < q.l4+8 || hasPorts(q.protocol) != ok {
		return quote{}, false
	}
	ports := q.ip[q.l4:]
	q.flow = q.flowWith(q.protocol, binary.BigEndian.Uint16(ports), binary.BigEndian.Uint16(ports[2:]))
	if sum := checksumAt(q.ip, q.l4, q.protocol); sum != 0 {
		q.checksum = at + sum
	}
	return q, true
}

// readHeaders reads the IP header with its options, or with the extension headers that follow it.
func (q *quote) readHeaders() bool {
	if !q.v4 {
		if len(q.ip) < v6Header || q.ip[0]>>4 != 6 {
			return false
		}
		q.source, q.destination = addressAt(q.ip, v6Source, 16), addressAt(q.ip, v6Destination, 16)
		return q.walk() == ok
	}
	if len(q.ip) < v4Header || q.ip[0]>>4 != 4 || q.ip[0]&0xf < 5 {
		return false
	}
	q.l4, q.protocol = int(q.ip[0]&0xf)*4, packet.Protocol(q.ip[v4Protocol])
	q.source, q.destination = addressAt(q.ip, v4Source, 4), addressAt(q.ip, v4Destination, 4)
	q.part = partOfIPv4(binary.BigEndian.Uint16(q.ip[v4Fragment:]))
	q.id = uint32(binary.BigEndian.Uint16(q.ip[v4ID:]))
	return q.l4 <= len(q.ip)
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
	if q.part != later {
		replace(ip, q.at+q.l4, portBytes(to.Destination), l4)
		replace(ip, q.at+q.l4+2, portBytes(to.Source), l4)
	}
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
