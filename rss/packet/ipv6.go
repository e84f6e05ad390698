package packet

import (
	"encoding/binary"
	"net/netip"
)

// IPv6Length is the length in bytes of the fixed IPv6 header.
const IPv6Length = 40

// IPv6 is an IPv6 packet from its fixed header on (RFC 8200).
type IPv6 []byte

// Version is 6 in a valid header.
func (p IPv6) Version() int { return int(p[0] >> 4) }

// TrafficClass returns the traffic class.
func (p IPv6) TrafficClass() uint8 { return p[0]<<4 | p[1]>>4 }

// FlowLabel returns the flow label, 20 bits.
func (p IPv6) FlowLabel() uint32 { return binary.BigEndian.Uint32(p) & 0xfffff }

// PayloadLength returns the length in bytes of what follows the fixed header,
// extension headers included; 0 in a jumbogram (RFC 2675).
func (p IPv6) PayloadLength() int { return int(binary.BigEndian.Uint16(p[4:])) }

// NextHeader says what follows the fixed header.
func (p IPv6) NextHeader() Protocol { return Protocol(p[6]) }

// HopLimit returns the hop limit.
func (p IPv6) HopLimit() uint8 { return p[7] }

// Source returns the sender's address. ::ffff:a.b.c.d stays an IPv6 address, because the packet
// is IPv6.
func (p IPv6) Source() netip.Addr { return netip.AddrFrom16([16]byte(p[8:24])) }

// Destination returns the receiver's address; ::ffff:a.b.c.d stays an IPv6 address.
func (p IPv6) Destination() netip.Addr { return netip.AddrFrom16([16]byte(p[24:40])) }

// SetHopLimit sets the hop limit.
func (p IPv6) SetHopLimit(limit uint8) { p[7] = limit }

// SetSource sets the sender's address.
func (p IPv6) SetSource(a netip.Addr) { a16 := a.As16(); copy(p[8:24], a16[:]) }

// SetDestination sets the receiver's address.
func (p IPv6) SetDestination(a netip.Addr) { a16 := a.As16(); copy(p[24:40], a16[:]) }

// The IPv6 extension headers (IANA "IPv6 Extension Header Types"), except ESP, which encrypts what
// follows.
const (
	HopByHop           Protocol = 0
	Routing            Protocol = 43
	FragmentHeader     Protocol = 44
	Authentication     Protocol = 51
	DestinationOptions Protocol = 60
	Mobility           Protocol = 135
	HIP                Protocol = 139
	Shim6              Protocol = 140
)

// NoNextHeader says that nothing follows an IPv6 header (RFC 8200 section 4.7).
const NoNextHeader Protocol = 59

// MaxExtensions is the number of extension headers that are read at most. RFC 8504
// section 5.3 allows such a limit; hardware has a lower one.
const MaxExtensions = 8

// IsExtension tells whether p names an IPv6 extension header that can be read.
func (p Protocol) IsExtension() bool {
	switch p {
	case HopByHop, Routing, FragmentHeader, Authentication, DestinationOptions, Mobility, HIP, Shim6:
		return true
	}
	return false
}

// extensionLength returns the length in bytes of the extension header of the given kind
// that b begins with; b has at least 2 bytes.
func extensionLength(kind Protocol, b []byte) int {
	switch kind {
	case FragmentHeader: // its second byte is reserved, not a length
		return 8
	case Authentication: // RFC 4302 section 2.2: in words of 4 bytes, minus 2
		return (int(b[1]) + 2) * 4
	}
	return (int(b[1]) + 1) * 8
}

// chain is a chain of extension headers.
type chain struct {
	// next is the protocol after the last header, at offset length.
	next     Protocol
	length   int
	count    int
	fragment bool
	// authenticated is true after an AH, whose SPI is spi.
	authenticated bool
	spi           uint32
}

// walk reads the extension headers at the start of b; next is the kind of the first. It stops after
// MaxExtensions, and after a fragment header, because only the first fragment has a header
// there. It returns false when one is cut short.
func walk(next Protocol, b []byte) (chain, bool) {
	c := chain{next: next}
	for c.next.IsExtension() && c.count < MaxExtensions && !c.fragment {
		rest := b[c.length:]
		if len(rest) < 8 || len(rest) < extensionLength(c.next, rest) {
			return c, false
		}
		c.fragment = c.next == FragmentHeader
		if c.next == Authentication {
			c.authenticated, c.spi = true, binary.BigEndian.Uint32(rest[4:])
		}
		c.length += extensionLength(c.next, rest)
		c.next = Protocol(rest[0])
		c.count++
	}
	return c, true
}
