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
	DestinationMAC     Fields = 1 << 1  // m
	VLANTag            Fields = 1 << 2  // v
	NetworkProtocol    Fields = 1 << 3  // t
	SourceAddress      Fields = 1 << 4  // s
	DestinationAddress Fields = 1 << 5  // d
	SourcePort         Fields = 1 << 6  // f: bytes 0 and 1 of the layer-4 header
	DestinationPort    Fields = 1 << 7  // n: bytes 2 and 3 of the layer-4 header
	TunnelID           Fields = 1 << 8  // e: the TEID of GTP
	FlowLabel          Fields = 1 << 9  // l: the flow label of IPv6, 20 bits
	Discard            Fields = 1 << 31 // r: such packets are dropped
)

// The sets that NICs use.
const (
	Addresses = SourceAddress | DestinationAddress
	Ports     = SourcePort | DestinationPort
	FourTuple = Addresses | Ports
)

// Hashable are the fields that AppendInput can lay out. For the others no
// specification gives the order and width in which a NIC hashes them.
const Hashable = FourTuple | FlowLabel

// letters holds ethtool's letter of bit i at index i; discard is the letter of bit 31.
const (
	letters = "-mvtsdfnel"
	discard = 'r'
)

// ParseFields reads letters as in "sd" or "sdfn", in any order; "none" is the
// empty set.
func ParseFields(s string) (Fields, error) {
	if s == "none" {
		return 0, nil
	}
	var f Fields
	for _, letter := range s {
		i := strings.IndexRune(letters, letter)
		switch {
		case letter == discard:
			f |= Discard
		case i > 0:
			f |= 1 << i
		default:
			return 0, fmt.Errorf("hash fields %q: want letters of %q, or none", s, letters[1:]+string(discard))
		}
	}
	if f == 0 {
		return 0, fmt.Errorf("hash fields are empty: want letters of %q, or none", letters[1:]+string(discard))
	}
	return f, nil
}

// String returns ethtool's letters in the order of the bits: "sdfn". The empty set is "none".
func (f Fields) String() string {
	var s strings.Builder
	rest := f
	for i := 1; i < len(letters); i++ {
		if f&(1<<i) != 0 {
			s.WriteByte(letters[i])
		}
		rest &^= 1 << i
	}
	if f&Discard != 0 {
		s.WriteRune(discard)
	}
	if rest &^= Discard; rest != 0 {
		fmt.Fprintf(&s, "+%#x", uint32(rest))
	}
	if s.Len() == 0 {
		return "none"
	}
	return s.String()
}

// Symmetric tells whether the set is the same for both directions of a flow: both addresses or
// none, both ports or none, nothing else. The kernel requires it of every flow type before it
// accepts a symmetric Transform (ethtool_rxfh_config_is_sym in net/ethtool/common.c).
func (f Fields) Symmetric() bool {
	return f&^FourTuple == 0 && f.both(Addresses) && f.both(Ports)
}

// both tells whether all of a pair are in the set, or none.
func (f Fields) both(pair Fields) bool { return f&pair == 0 || f&pair == pair }
