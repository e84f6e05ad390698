package dataplanetest

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// Packet describes a valid TCP or UDP packet in an Ethernet frame.
type Packet struct {
	Flow packet.Flow
	TTL  uint8
	// Source and Destination are the Ethernet addresses.
	Source, Destination lb.MAC
	// Flags are TCP's; UDP has none.
	Flags   uint8
	Payload []byte
	// ICMP replaces TCP or UDP if it is not nil: a message whose checksum is computed.
	ICMP []byte
}

// Frame returns the bytes, with checksums computed from scratch.
func (p Packet) Frame() []byte {
	frame := append(p.Destination[:], p.Source[:]...)
	segment := p.segment()
	if p.Flow.Source.Addr().Is4() {
		frame = append(frame, 0x08, 0x00)
		frame = append(frame, p.ipv4(len(segment))...)
	} else {
		frame = append(frame, 0x86, 0xdd)
		frame = append(frame, p.ipv6(len(segment))...)
	}
	return append(frame, segment...)
}

func (p Packet) ipv4(payload int) []byte {
	h := make([]byte, 12, 20)
	h[0] = 4<<4 | 5
	binary.BigEndian.PutUint16(h[2:], uint16(20+payload))
	h[8], h[9] = p.TTL, p.protocol()
	h = append(h, addresses(p.Flow)...)
	binary.BigEndian.PutUint16(h[10:], checksum(h))
	return h
}

func (p Packet) ipv6(payload int) []byte {
	h := make([]byte, 8, 40)
	h[0] = 6 << 4
	binary.BigEndian.PutUint16(h[4:], uint16(payload))
	h[6], h[7] = p.protocol(), p.TTL
	return append(h, addresses(p.Flow)...)
}

// segment returns the TCP segment or UDP datagram.
func (p Packet) segment() []byte {
	if p.ICMP != nil {
		return p.message()
	}
	s, at := p.l4Header()
	s = append(s, p.Payload...)
	if p.Flow.Protocol == packet.UDP {
		binary.BigEndian.PutUint16(s[4:], uint16(len(s)))
	}
	pseudo := binary.BigEndian.AppendUint32(addresses(p.Flow), uint32(len(s)))
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(p.Flow.Protocol))
	sum := checksum(append(pseudo, s...))
	if sum == 0 && p.Flow.Protocol == packet.UDP {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(s[at:], sum)
	return s
}

// l4Header returns the header without lengths and checksum, and the offset of the checksum.
func (p Packet) l4Header() ([]byte, int) {
	ports := []byte{}
	for _, end := range []netip.AddrPort{p.Flow.Source, p.Flow.Destination} {
		ports = binary.BigEndian.AppendUint16(ports, end.Port())
	}
	if p.Flow.Protocol == packet.UDP {
		return append(ports, 0, 0, 0, 0), 6
	}
	h := append(ports, make([]byte, 16)...)
	binary.BigEndian.PutUint32(h[4:], 0x12345678) // sequence number
	binary.BigEndian.PutUint32(h[8:], 0x9abcdef0) // acknowledged
	binary.BigEndian.PutUint16(h[14:], 0xfedc)    // window
	h[12], h[13] = 5<<4, p.Flags
	return h, 16
}

// protocol returns the number in the IP header.
func (p Packet) protocol() byte {
	switch {
	case p.ICMP == nil:
		return byte(p.Flow.Protocol)
	case p.Flow.Source.Addr().Is4():
		return 1
	}
	return 58
}

// message returns the ICMP message with its checksum.
func (p Packet) message() []byte {
	var pseudo []byte
	if !p.Flow.Source.Addr().Is4() {
		pseudo = binary.BigEndian.AppendUint32(addresses(p.Flow), uint32(len(p.ICMP)))
		pseudo = append(pseudo, 0, 0, 0, 58)
	}
	return withChecksum(pseudo, slices.Clone(p.ICMP), 2)
}

// addresses returns source and destination in network byte order.
func addresses(f packet.Flow) []byte {
	return append(f.Source.Addr().AsSlice(), f.Destination.Addr().AsSlice()...)
}

// checksum returns the Internet checksum (RFC 1071) of bytes in which its own field is 0.
func checksum(b []byte) uint16 {
	var sum uint32
	for i, v := range b {
		sum += uint32(v) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
