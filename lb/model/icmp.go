package model

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"lbctl/rss/packet"
)

// quote is the packet that an ICMP error is about: where its parts are in the frame.
type quote struct {
	sourceAt, destinationAt, portsAt int
	// ipChecksumAt and checksumAt are those of IPv4 and of TCP or UDP; 0: there is none.
	ipChecksumAt, checksumAt int
	udp                      bool
}

// isEcho tells an echo request.
func (p parsed) isEcho(frame []byte) bool {
	request := byte(128)
	if p.v4 {
		request = 8
	}
	return frame[p.l4At] == request && frame[p.l4At+1] == 0
}

// readQuote makes the flow that of the packet that an ICMP error quotes, seen from its other end: from
// client to VIP, or from replica to client. It returns false if the packet is no error
// about a flow of its receiver.
func (p *parsed) readQuote(frame []byte) bool {
	icmp := p.l4(frame)
	errors := []byte{1, 2, 3, 4}
	if p.v4 {
		errors = []byte{3, 4, 11, 12}
	}
	if !slices.Contains(errors, icmp[0]) {
		return false
	}
	ip, at := icmp[8:], p.l4At+8
	header, protocol, address := 40, uint8(0), 16
	q := quote{sourceAt: at + 8, destinationAt: at + 24}
	if p.v4 {
		if len(ip) < 20 || ip[0]>>4 != 4 || ip[0]&0xf < 5 || binary.BigEndian.Uint16(ip[6:])&0x1fff != 0 {
			return false
		}
		header, protocol, address = int(ip[0]&0xf)*4, ip[9], 4
		q = quote{sourceAt: at + 12, destinationAt: at + 16, ipChecksumAt: at + 10}
	} else {
		if len(ip) < 40 || ip[0]>>4 != 6 {
			return false
		}
		protocol = ip[6]
	}
	flow := packet.Flow{Protocol: packet.Protocol(protocol)}
	if flow.Protocol != packet.TCP && flow.Protocol != packet.UDP || len(ip) < header+8 {
		return false
	}
	if !slices.Equal(frame[q.sourceAt:q.sourceAt+address], frame[p.destinationAt:p.destinationAt+address]) {
		return false
	}
	q.portsAt = at + header
	checksum := 16
	if q.udp = flow.Protocol == packet.UDP; q.udp {
		checksum = 6
	}
	if len(ip) >= header+checksum+2 {
		q.checksumAt = q.portsAt + checksum
	}
	flow.Source = p.end(frame, q.destinationAt, binary.BigEndian.Uint16(frame[q.portsAt+2:]))
	flow.Destination = p.end(frame, q.sourceAt, binary.BigEndian.Uint16(frame[q.portsAt:]))
	p.flow, p.quote = flow, &q
	return true
}

// requote gives one end of the quoted packet, and one of the ICMP packet if outerAt is not 0,
// another address, and updates all checksums.
func requote(frame []byte, p parsed, addressAt, portAt, outerAt int, to netip.AddrPort) {
	q, before := p.quote, slices.Clone(frame)
	var l4 []int
	if q.checksumAt != 0 && !(q.udp && binary.BigEndian.Uint16(frame[q.checksumAt:]) == 0) {
		l4 = []int{q.checksumAt}
	}
	withIP := l4
	if p.v4 {
		withIP = append([]int{q.ipChecksumAt}, l4...)
	}
	replace(frame, addressAt, address(to), withIP)
	replace(frame, portAt, portBytes(to), l4)
	if q.udp && len(l4) > 0 {
		avoidZero(frame[q.checksumAt:])
	}
	icmpChecksum := p.l4At + 2
	// Every word of the quote that is another one now.
	for at := p.l4At + 8; at+2 <= p.ipAt+p.ipBytes; at += 2 {
		was, is := binary.BigEndian.Uint16(before[at:]), binary.BigEndian.Uint16(frame[at:])
		if was != is {
			binary.BigEndian.PutUint16(frame[icmpChecksum:], update(binary.BigEndian.Uint16(frame[icmpChecksum:]), was, is))
		}
	}
	switch {
	case outerAt == 0:
	case p.v4:
		replace(frame, outerAt, address(to), []int{p.ipChecksumAt()})
	default:
		replace(frame, outerAt, address(to), []int{icmpChecksum}) // by the pseudo header
	}
}
