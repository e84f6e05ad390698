package oracle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// answerTTL is the TTL or hop limit of packets that the load balancer itself makes.
const answerTTL = 64

// class is the TOS or the traffic class of the packet.
func (p parsed) class() uint8 {
	if p.v4 {
		return p.ip[v4TOS]
	}
	return uint8(binary.BigEndian.Uint16(p.ip) >> 4)
}

// newIPv4 makes the header of a packet that carries so many bytes.
func newIPv4(tos uint8, bytes int, fragment uint16, carried packet.Protocol, ends lb.Tunnel) []byte {
	ip := make([]byte, v4Header)
	ip[0], ip[v4TOS] = 4<<4|v4Header/4, tos
	binary.BigEndian.PutUint16(ip[v4Length:], uint16(v4Header+bytes))
	binary.BigEndian.PutUint16(ip[v4Fragment:], fragment)
	ip[v4TTL], ip[v4Protocol] = answerTTL, byte(carried)
	copy(ip[v4Source:], ends.Source.AsSlice())
	copy(ip[v4Destination:], ends.Destination.AsSlice())
	writeChecksum(ip, v4Checksum, nil)
	return ip
}

// newIPv6 makes the header of a packet that carries so many bytes.
func newIPv6(class uint8, label uint32, bytes int, carried packet.Protocol, ends lb.Tunnel) []byte {
	ip := make([]byte, v6Header)
	binary.BigEndian.PutUint32(ip, 6<<28|uint32(class)<<20|label)
	binary.BigEndian.PutUint16(ip[v6Length:], uint16(bytes))
	ip[v6Next], ip[v6HopLimit] = byte(carried), answerTTL
	copy(ip[v6Source:], ends.Source.AsSlice())
	copy(ip[v6Destination:], ends.Destination.AsSlice())
	return ip
}

// FrameOf returns the frame of a probe, or makes one of its flow: valid, with MAC addresses of zeros, a TTL of
// 64 and no payload; TCP with the flag SYN or ACK. For protocols other than TCP and UDP it has 8 bytes of
// zeros behind the IP header. Its error wraps lb.ErrInvalid: no packet can have that flow.
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

// checkFlow says why no packet can have this flow.
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
