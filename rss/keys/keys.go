// Package keys analyses RSS keys, that is how a key spreads structured traffic, and generates keys under
// constraints.
//
// The hash is linear over GF(2): input bit i adds to the hash its window, the 32 key bits from position i on.
// Everything here follows from the windows of the fields' bits. A field changes as many bits of the table's
// index as its windows have rank in the hash's low bits. Two fields are interchangeable when their windows are
// equal. A field has no effect when its windows are zero. Such constraints are linear equations in the key's bits
// (Zhang et al., "Maestro: Automatic Parallelization of Software Network Functions", NSDI 2024, use them across
// ports), so a key is found by elimination.
//
// The input is that of rss.FourTuple: source address, destination address, source port,
// destination port. All functions are pure; the caller passes the source of randomness.
package keys

import (
	"fmt"
	"math/bits"

	"lbctl/rss"
)

// Family is an address family.
type Family uint8

// The families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// families are all families, in the order of reports.
func families() []Family { return []Family{IPv4, IPv6} }

// fields are all that are analysed, in the order of the input.
func fields() []rss.Fields {
	return []rss.Fields{rss.SourceAddress, rss.DestinationAddress, rss.SourcePort, rss.DestinationPort}
}

// String returns "ipv4" or "ipv6".
func (f Family) String() string { return fmt.Sprintf("ipv%d", uint8(f)) }

// span returns the offset of one of the four fields in the input, and its width, in bits.
func (f Family) span(field rss.Fields) (offset, width int) {
	address := 32
	if f == IPv6 {
		address = 128
	}
	switch field {
	case rss.SourceAddress:
		return 0, address
	case rss.DestinationAddress:
		return address, address
	case rss.SourcePort:
		return 2 * address, 16
	default:
		return 2*address + 16, 16
	}
}

// mirror returns the field that has the same value in a packet of the opposite direction.
func mirror(field rss.Fields) rss.Fields {
	switch field {
	case rss.SourceAddress:
		return rss.DestinationAddress
	case rss.DestinationAddress:
		return rss.SourceAddress
	case rss.SourcePort:
		return rss.DestinationPort
	default:
		return rss.SourcePort
	}
}

// windows returns what each bit of a field adds to the hash, the most significant bit first.
func windows(key rss.Key, f Family, field rss.Fields) []uint32 {
	offset, width := f.span(field)
	all := make([]uint32, width)
	for i := range all {
		all[i] = key.Window(offset + i)
	}
	return all
}

// indexBits is the number of low bits of the hash that pick an entry of a table: all 32 when its size is not a
// power of two.
func indexBits(size int) int {
	if size&(size-1) != 0 {
		return 32
	}
	return bits.Len(uint(size)) - 1
}
