package packet

import (
	"encoding/binary"
	"fmt"
	"net"
)

// EtherType says what follows an Ethernet header or a VLAN tag (IEEE 802
// Numbers). It is never a layer-4 protocol. Below 0x600 it is a length (802.3).
type EtherType uint16

// The EtherTypes that Parse knows.
const (
	TypeIPv4 EtherType = 0x0800
	TypeIPv6 EtherType = 0x86dd
	// TypeVLAN is the tag of 802.1Q, TypeServiceVLAN the outer one of 802.1ad.
	TypeVLAN        EtherType = 0x8100
	TypeServiceVLAN EtherType = 0x88a8
	// TypePPPoE is that of PPPoE's session stage (RFC 2516); TypePPPoEDiscovery of the one before it.
	TypePPPoE          EtherType = 0x8864
	TypePPPoEDiscovery EtherType = 0x8863
	// TypeMPLS and TypeMPLSMulticast are those of a label stack (RFC 3032).
	TypeMPLS          EtherType = 0x8847
	TypeMPLSMulticast EtherType = 0x8848
	TypeARP           EtherType = 0x0806
)

// String returns "ipv4", "ipv6", "802.1q", "802.1ad", "pppoe", "mpls", "arp" or the number.
func (t EtherType) String() string {
	switch t {
	case TypePPPoE, TypePPPoEDiscovery:
		return "pppoe"
	case TypeMPLS, TypeMPLSMulticast:
		return "mpls"
	case TypeARP:
		return "arp"
	case TypeIPv4:
		return "ipv4"
	case TypeIPv6:
		return "ipv6"
	case TypeVLAN:
		return "802.1q"
	case TypeServiceVLAN:
		return "802.1ad"
	}
	return fmt.Sprintf("ethertype-%#04x", uint16(t))
}

// IsVLAN tells whether a VLAN tag follows.
func (t EtherType) IsVLAN() bool { return t == TypeVLAN || t == TypeServiceVLAN }

// MAC is an Ethernet address.
type MAC [6]byte

// String returns "02:00:00:00:00:01".
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// EthernetLength is the length in bytes of an Ethernet header.
const EthernetLength = 14

// Ethernet is a frame from its Ethernet header on, without preamble and checksum.
type Ethernet []byte

// Destination returns the receiver's address.
func (e Ethernet) Destination() MAC { return MAC(e[0:6]) }

// Source returns the sender's address.
func (e Ethernet) Source() MAC { return MAC(e[6:12]) }

// EtherType says what follows the header.
func (e Ethernet) EtherType() EtherType { return EtherType(binary.BigEndian.Uint16(e[12:])) }

// SetDestination sets the receiver's address.
func (e Ethernet) SetDestination(m MAC) { copy(e[0:6], m[:]) }

// SetSource sets the sender's address.
func (e Ethernet) SetSource(m MAC) { copy(e[6:12], m[:]) }

// SetEtherType says what follows the header.
func (e Ethernet) SetEtherType(t EtherType) { binary.BigEndian.PutUint16(e[12:], uint16(t)) }

// VLANLength is the number of bytes that a tag adds to a frame.
const VLANLength = 4

// VLAN is the tag control information and the next EtherType (IEEE 802.1Q). It follows an
// EtherType that IsVLAN.
type VLAN []byte

// EtherType says what follows the tag.
func (v VLAN) EtherType() EtherType { return EtherType(binary.BigEndian.Uint16(v[2:])) }

// Tag is a VLAN tag to be put into a frame.
type Tag struct {
	// Type is TypeVLAN or TypeServiceVLAN; 0 stands for TypeVLAN.
	Type EtherType
	// ID is 0 to 4095.
	ID uint16
	// Priority is 0 to 7.
	Priority uint8
}
