package packet

import (
	"encoding/binary"
	"net/netip"
)

// Sum adds the 16-bit words of b, big-endian, an odd last byte padded with zero,
// to a sum (RFC 1071). It cannot overflow below 128 KiB in all. Only the last of
// several pieces may have an odd length.
func Sum(b []byte, sum uint32) uint32 {
	for len(b) >= 2 {
		sum += uint32(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

// Fold reduces a sum to 16 bits by end-around carry. A checksum is its complement.
func Fold(sum uint32) uint16 {
	sum = sum>>16 + sum&0xffff
	return uint16(sum>>16 + sum)
}

// Checksum returns the Internet checksum of b (RFC 1071): 0 over bytes that
// include their own correct checksum.
func Checksum(b []byte) uint16 { return ^Fold(Sum(b, 0)) }

// UpdateChecksum returns the checksum after one 16-bit word that it covers changed
// from old to new (RFC 1624, equation 3).
func UpdateChecksum(sum, old, new uint16) uint16 {
	return ^Fold(uint32(^sum) + uint32(^old) + uint32(new))
}

// TransportChecksum returns the checksum of a TCP segment or UDP datagram under
// its pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1): 0 over bytes
// that include their own correct checksum. The addresses are of one family.
func TransportChecksum(source, destination netip.Addr, protocol Protocol, b []byte) uint16 {
	sum := uint32(protocol) + uint32(len(b)>>16) + uint32(len(b)&0xffff)
	sum = sumAddress(source, sumAddress(destination, sum))
	return ^Fold(Sum(b, sum))
}

func sumAddress(a netip.Addr, sum uint32) uint32 {
	if a.Is4() {
		a4 := a.As4()
		return Sum(a4[:], sum)
	}
	a16 := a.As16()
	return Sum(a16[:], sum)
}
