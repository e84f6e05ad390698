package oracle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// FrameOf returns the frame of a probe, or makes one of its flow: valid, from and to no MAC address,
// with a TTL of 64 and without payload; TCP with the flag SYN or ACK. Of protocols
// that are neither TCP nor UDP it has 8 bytes, all 0. Its error wraps lb.ErrInvalid: no packet
// has that flow.
func FrameOf(p lb.Probe) ([]byte, error) {
	if p.Frame != nil {
		return p.Frame, nil
	}
	if err := checkFlow(p.Flow); err != nil {
		return nil, fmt.Errorf("%w flow %v: %w", lb.ErrInvalid, p.Flow, err)
	}
	ends := lb.Tunnel{Source: p.Flow.Source.Addr(), Destination: p.Flow.Destination.Addr()}
	segment := segmentOf(p, ends)
	ip := newIPv6(0, 0, len(segment), p.Flow.Protocol, ends)
	if ends.Source.Is4() {
		ip = newIPv4(0, len(segment), 0, p.Flow.Protocol, ends)
	}
	return slices.Concat(make([]byte, macBytes), etherTypeOf(ip), ip, segment), nil
}

// checkFlow says why no packet has this flow.
func checkFlow(f packet.Flow) error {
	source, destination := f.Source.Addr(), f.Destination.Addr()
	switch {
	case !source.IsValid() || !destination.IsValid():
		return errors.New("an address is missing")
	case source.Is4() != destination.Is4():
		return errors.New("one address is IPv4, the other IPv6")
	case source.Zone() != "" || destination.Zone() != "":
		return errors.New("an address has a zone")
	}
	return nil
}

// segmentOf makes the TCP or UDP header of a probe.
func segmentOf(p lb.Probe, ends lb.Tunnel) []byte {
	segment, checksum := make([]byte, udpHeader), 0
	switch p.Flow.Protocol {
	case packet.TCP:
		segment, checksum = make([]byte, tcpHeader), tcpChecksum
		segment[12], segment[tcpFlags] = tcpHeader/4<<4, tcpACK
		if p.SYN {
			segment[tcpFlags] = tcpSYN
		}
		binary.BigEndian.PutUint16(segment[14:], 0xffff) // window
	case packet.UDP:
		checksum = udpChecksum
		binary.BigEndian.PutUint16(segment[udpLength:], udpHeader)
	default:
		return segment
	}
	copy(segment, portBytes(p.Flow.Source))
	copy(segment[2:], portBytes(p.Flow.Destination))
	writeChecksum(segment, checksum, pseudo(ends, len(segment), p.Flow.Protocol))
	if p.Flow.Protocol == packet.UDP {
		avoidZero(segment[checksum:])
	}
	return segment
}

// pseudo is the pseudo header of either IP version (RFC 9293, section 3.1).
func pseudo(ends lb.Tunnel, bytes int, carried packet.Protocol) []byte {
	if !ends.Source.Is4() {
		return pseudoIPv6(ends, bytes, carried)
	}
	rest := []byte{0, byte(carried), byte(bytes >> 8), byte(bytes)}
	return slices.Concat(ends.Source.AsSlice(), ends.Destination.AsSlice(), rest)
}
