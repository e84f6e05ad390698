package rss

import (
	"fmt"
	"strings"
)

// Fields is the set of a packet's fields that are hashed. The values are those of
// RXH_* in the kernel's include/uapi/linux/ethtool.h. The zero value is the empty
// set: such packets are not hashed.
type Fields uint32

// The fields, with the letters of ethtool -N rx-flow-hash.
const (
	SourceAddress      Fields = 1 << 4 // s
	DestinationAddress Fields = 1 << 5 // d
	SourcePort         Fields = 1 << 6 // f: bytes 0 and 1 of the layer-4 header
	DestinationPort    Fields = 1 << 7 // n: bytes 2 and 3 of the layer-4 header
)

// The sets that NICs use.
const (
	Addresses = SourceAddress | DestinationAddress
	FourTuple = Addresses | SourcePort | DestinationPort
)

// letters holds ethtool's letter of each bit from SourceAddress on, in ethtool's order.
const letters = "sdfn"

// ParseFields reads letters as in "sd" or "sdfn", in any order; "none" is the
// empty set.
func ParseFields(s string) (Fields, error) {
	if s == "none" {
		return 0, nil
	}
	var f Fields
	for _, letter := range s {
		i := strings.IndexRune(letters, letter)
		if i < 0 {
			return 0, fmt.Errorf("hash fields %q: want letters of %q, or none", s, letters)
		}
		f |= SourceAddress << i
	}
	if f == 0 {
		return 0, fmt.Errorf("hash fields are empty: want letters of %q, or none", letters)
	}
	return f, nil
}

// String returns ethtool's letters in ethtool's order: "sdfn". The empty set is "none".
func (f Fields) String() string {
	var s strings.Builder
	for i, letter := range letters {
		if f&(SourceAddress<<i) != 0 {
			s.WriteRune(letter)
		}
	}
	if rest := f &^ FourTuple; rest != 0 {
		fmt.Fprintf(&s, "+%#x", uint32(rest))
	}
	if s.Len() == 0 {
		return "none"
	}
	return s.String()
}
