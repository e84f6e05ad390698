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

// Source returns the sender's address. One of the form ::ffff:a.b.c.d stays an
// IPv6 address: the packet is IPv6.
func (p IPv6) Source() netip.Addr { return netip.AddrFrom16([16]byte(p[8:24])) }

// Destination returns the receiver's address, in the same way.
func (p IPv6) Destination() netip.Addr { return netip.AddrFrom16([16]byte(p[24:40])) }

// SetHopLimit sets the hop limit.
func (p IPv6) SetHopLimit(limit uint8) { p[7] = limit }

// SetSource sets the sender's address.
func (p IPv6) SetSource(a netip.Addr) { a16 := a.As16(); copy(p[8:24], a16[:]) }

// SetDestination sets the receiver's address.
func (p IPv6) SetDestination(a netip.Addr) { a16 := a.As16(); copy(p[24:40], a16[:]) }
