package packet

import (
	"encoding/binary"
	"net/netip"
)

// IPv4MinLength is the length in bytes of an IPv4 header without options.
const IPv4MinLength = 20

// IPv4 is an IPv4 packet from its header on (RFC 791).
type IPv4 []byte

const (
	ipv4DontFragment  = 0x4000
	ipv4MoreFragments = 0x2000
	ipv4OffsetMask    = 0x1fff
)

// Version is 4 in a valid header.
func (p IPv4) Version() int { return int(p[0] >> 4) }

// HeaderLength returns the length in bytes, options included: 20 to 60 if valid.
func (p IPv4) HeaderLength() int { return int(p[0]&0x0f) * 4 }

// TotalLength returns the length in bytes of header and payload.
func (p IPv4) TotalLength() int { return int(binary.BigEndian.Uint16(p[2:])) }

// ID returns the identification, which fragments of one packet share.
func (p IPv4) ID() uint16 { return binary.BigEndian.Uint16(p[4:]) }

// DontFragment returns the DF bit.
func (p IPv4) DontFragment() bool { return p.fragment()&ipv4DontFragment != 0 }

// MoreFragments returns the MF bit.
func (p IPv4) MoreFragments() bool { return p.fragment()&ipv4MoreFragments != 0 }

// FragmentOffset returns the position of the payload in the whole packet's, in bytes.
func (p IPv4) FragmentOffset() int { return int(p.fragment()&ipv4OffsetMask) * 8 }

// IsFragment tells whether this is a fragment, the first included.
func (p IPv4) IsFragment() bool { return p.fragment()&(ipv4MoreFragments|ipv4OffsetMask) != 0 }

func (p IPv4) fragment() uint16 { return binary.BigEndian.Uint16(p[6:]) }

// TTL returns the time to live.
func (p IPv4) TTL() uint8 { return p[8] }

// Protocol says what follows the header.
func (p IPv4) Protocol() Protocol { return Protocol(p[9]) }

// Checksum returns the checksum of the header.
func (p IPv4) Checksum() uint16 { return binary.BigEndian.Uint16(p[10:]) }

// Source returns the sender's address.
func (p IPv4) Source() netip.Addr { return netip.AddrFrom4([4]byte(p[12:16])) }

// Destination returns the receiver's address.
func (p IPv4) Destination() netip.Addr { return netip.AddrFrom4([4]byte(p[16:20])) }

// Options returns the options, which may be empty.
func (p IPv4) Options() []byte { return p[IPv4MinLength:p.HeaderLength()] }

// SetTTL sets the time to live.
func (p IPv4) SetTTL(ttl uint8) { p[8] = ttl }

// SetChecksum sets the checksum of the header.
func (p IPv4) SetChecksum(sum uint16) { binary.BigEndian.PutUint16(p[10:], sum) }

// SetSource sets the sender's address, which must be an IPv4 one.
func (p IPv4) SetSource(a netip.Addr) { a4 := a.As4(); copy(p[12:16], a4[:]) }

// SetDestination sets the receiver's address, which must be an IPv4 one.
func (p IPv4) SetDestination(a netip.Addr) { a4 := a.As4(); copy(p[16:20], a4[:]) }

// HeaderChecksum computes what Checksum must be.
func (p IPv4) HeaderChecksum() uint16 {
	return ^Fold(Sum(p[12:p.HeaderLength()], Sum(p[:10], 0)))
}
