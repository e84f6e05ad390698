package oracle

import (
	"encoding/binary"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// How long an ICMP error about a packet that is rejected may be: RFC 1812, section 4.3.2.3, and RFC 4443, section 2.4.
const (
	errorIPv4 = 576
	errorIPv6 = 1280
)

// nextNone: nothing follows (RFC 8200, section 4.7).
const nextNone = 59

// reject answers a packet to the address of a VIP that no service takes, as a host does at which nobody listens there: if
// one may be answered.
func (d *decision) reject() lb.Reason {
	if d.part == later || d.martian() {
		return lb.VIPNoService
	}
	answer := d.unreachable
	if d.protocol == packet.TCP {
		answer = d.reset
	}
	ip := answer()
	if ip == nil {
		return lb.VIPNoService
	}
	d.answer(ip)
	return lb.Rejected
}

// reset is the packet that answers a segment to a connection that does not exist: RFC 9293, section 3.10.7.1. It is nil
// for a reset, and for a fragment, of which it is not known how long the segment is.
func (d *decision) reset() []byte {
	segment := d.segment()
	if d.part != whole || d.isRST {
		return nil
	}
	reset := make([]byte, tcpHeader)
	copy(reset, segment[2:4]) // ports
	copy(reset[2:], segment[0:2])
	flags := segment[tcpFlags]
	reset[12] = tcpHeader / 4 << 4
	if flags&tcpACK != 0 {
		copy(reset[tcpSequence:], segment[tcpAcknowledged:tcpAcknowledged+4])
		reset[tcpFlags] = tcpRST
	} else {
		length := len(segment) - int(segment[12]>>4)*4
		for _, counts := range []byte{tcpSYN, tcpFIN} {
			if flags&counts != 0 {
				length++
			}
		}
		binary.BigEndian.PutUint32(reset[tcpAcknowledged:], binary.BigEndian.Uint32(segment[tcpSequence:])+uint32(length))
		reset[tcpFlags] = tcpRST | tcpACK
	}
	ends := lb.Tunnel{Source: d.destination, Destination: d.source}
	writeChecksum(reset, tcpChecksum, pseudo(ends, len(reset), packet.TCP))
	return slices.Concat(d.newHeader(0, len(reset), packet.TCP), reset)
}

// unreachable is the ICMP error about a packet that is not TCP, nil if there is none.
func (d *decision) unreachable() []byte {
	kind, code, pointer := d.complaint()
	if kind == 0 {
		return nil
	}
	message, most, protocol := []byte{kind, code, 0, 0, 0, 0, 0, 0}, errorIPv4-v4Header-icmpHeader, packet.ICMP
	if !d.v4 {
		most, protocol = errorIPv6-v6Header-icmpHeader, packet.ICMPv6
	}
	binary.BigEndian.PutUint32(message[icmpMTU:], pointer)
	message = slices.Concat(message, d.ip[:min(d.length, most)])
	const networkControl = 0xc0 // RFC 1812, section 4.3.2.5
	ends, covered := lb.Tunnel{Source: d.destination, Destination: d.source}, []byte(nil)
	if !d.v4 {
		covered = pseudoIPv6(ends, len(message), protocol)
	}
	writeChecksum(message, icmpChecksum, covered)
	return slices.Concat(d.newHeader(networkControl, len(message), protocol), message)
}

// newHeader is the IP header of an answer to the sender. A traffic class is not set.
func (d *decision) newHeader(tos uint8, bytes int, carried packet.Protocol) []byte {
	ends := lb.Tunnel{Source: d.destination, Destination: d.source}
	if d.v4 {
		return newIPv4(tos, bytes, 0, carried, ends)
	}
	return newIPv6(0, 0, bytes, carried, ends)
}

// complaint is the type and code of an ICMP error, and what ICMPv6 says with it. Type 0: there is none.
func (d *decision) complaint() (kind, code byte, pointer uint32) {
	switch d.protocol {
	case packet.UDP:
		if d.v4 {
			return 3, 3, 0 // port unreachable
		}
		return 1, 4, 0
	case packet.ICMP:
		if d.v4 {
			return d.prohibited(8, 3, 13)
		}
	case packet.ICMPv6:
		if !d.v4 {
			return d.prohibited(128, 1, 1)
		}
	}
	if d.v4 {
		return 3, 2, 0 // protocol unreachable
	}
	switch d.protocol {
	case nextHopByHop, nextRouting, nextFragment, nextDestination, nextNone:
		return 0, 0, 0
	}
	return 4, 1, uint32(d.named) // unrecognized next header
}

// prohibited is said of an echo request that echo does not answer; nothing of other messages.
func (d *decision) prohibited(request, kind, code byte) (byte, byte, uint32) {
	if message := d.segment(); len(message) == 0 || message[0] != request {
		return 0, 0, 0
	}
	return kind, code, 0
}
