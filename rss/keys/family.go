package keys

import (
	"fmt"

	"lbctl/rss"
)

// Family is an address family.
type Family uint8

// The families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// families are all that there are, in the order of reports.
func families() []Family { return []Family{IPv4, IPv6} }

// fields are all that are analysed, in the order of the input.
func fields() []rss.Fields {
	return []rss.Fields{rss.SourceAddress, rss.DestinationAddress, rss.SourcePort, rss.DestinationPort}
}

// String returns "ipv4" or "ipv6".
func (f Family) String() string { return fmt.Sprintf("ipv%d", uint8(f)) }

// span is the place in bits of one of the four fields in the input, and its width.
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

// mirror is the field of the other end.
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
		input := make([]byte, (offset+width+7)/8)
		input[(offset+i)/8] = 0x80 >> ((offset + i) % 8)
		all[i] = rss.Toeplitz(key, input)
	}
	return all
}
