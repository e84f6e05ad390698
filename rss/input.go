package rss

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// MaxInputLength is the longest input that AppendInput makes, in bytes: an IPv6 4-tuple and
// a flow label.
const MaxInputLength = IPv6TupleLength + flowLabelLength

// flowLabelLength is the length in bytes of a flow label: 20 bits after four zeros.
const flowLabelLength = 3

// Values are what a NIC can hash of one packet.
type Values struct {
	// Source and Destination are of one family.
	Source, Destination netip.Addr
	// SourcePort and DestinationPort are the ports of TCP, UDP and SCTP, or the halves of the
	// SPI of ESP and AH.
	SourcePort, DestinationPort uint16
	// FlowLabel is that of IPv6, 20 bits.
	FlowLabel uint32
}

// AppendInput appends the hash input: the values of the fields in the
// order source address, destination address, source port, destination port, flow label, without
// gaps, in network byte order; at most MaxInputLength bytes. Fields that are not
// Hashable add nothing. A transform is applied if the fields are Symmetric and ignored otherwise.
//
// Microsoft's documentation gives the order up to the ports. The position of the flow label is a
// choice made here, because no vendor documents it.
func AppendInput(b []byte, v *Values, fields Fields, x Transform) []byte {
	start := len(b)
	if fields&SourceAddress != 0 {
		b = appendAddress(b, v.Source)
	}
	if fields&DestinationAddress != 0 {
		b = appendAddress(b, v.Destination)
	}
	ports := len(b)
	if fields&SourcePort != 0 {
		b = binary.BigEndian.AppendUint16(b, v.SourcePort)
	}
	if fields&DestinationPort != 0 {
		b = binary.BigEndian.AppendUint16(b, v.DestinationPort)
	}
	if x != NoTransform && fields.Symmetric() {
		x.apply(b[start:ports])
		x.apply(b[ports:])
	}
	if fields&FlowLabel != 0 {
		b = append(b, byte(v.FlowLabel>>16)&0x0f, byte(v.FlowLabel>>8), byte(v.FlowLabel))
	}
	return b
}

// appendAddress appends the address's bytes without an allocation.
func appendAddress(b []byte, a netip.Addr) []byte {
	switch {
	case a.Is4():
		a4 := a.As4()
		return append(b, a4[:]...)
	case a.IsValid():
		a16 := a.As16()
		return append(b, a16[:]...)
	}
	return b
}

// AppendAddresses appends the hash input of a flow's addresses: source, then
// destination, in network byte order; 8 bytes for IPv4, 32 for IPv6.
func AppendAddresses(b []byte, source, destination netip.Addr) []byte {
	return append(append(b, source.AsSlice()...), destination.AsSlice()...)
}

// AppendTuple appends the hash input of a flow's 4-tuple: source address,
// destination address, source port, destination port, in network byte order;
// IPv4TupleLength or IPv6TupleLength bytes.
func AppendTuple(b []byte, source, destination netip.AddrPort) []byte {
	b = AppendAddresses(b, source.Addr(), destination.Addr())
	b = binary.BigEndian.AppendUint16(b, source.Port())
	return binary.BigEndian.AppendUint16(b, destination.Port())
}

// Transform is what a NIC does to the fields before it hashes them. The values are those
// of RXH_XFRM_* in the kernel's include/uapi/linux/ethtool.h. The zero value is
// NoTransform.
type Transform uint8

// The transforms. Both are symmetric: both directions of a flow have the same hash. Each pair
// (addresses, ports) is hashed as follows (kernel's Documentation/networking/scaling.rst):
//
//	SymmetricXOR    source ^ destination, source ^ destination
//	SymmetricOrXOR  source | destination, source ^ destination
//
// SymmetricXOR keeps half the entropy, and gives every flow between an address and itself the same hash.
const (
	NoTransform    Transform = 0
	SymmetricXOR   Transform = 1 << 0
	SymmetricOrXOR Transform = 1 << 1
)

// TransformNames returns the names that ParseTransform knows.
func TransformNames() []string { return []string{"none", "symmetric-xor", "symmetric-or-xor"} }

// ParseTransform reads a name as ethtool -X xfrm takes it, or "none".
func ParseTransform(s string) (Transform, error) {
	for i, name := range TransformNames() {
		if s == name {
			return Transform(i), nil
		}
	}
	return 0, fmt.Errorf("input transform %q: want one of %q", s, TransformNames())
}

// String returns the name, or "transform-0x4" for a value that has none.
func (x Transform) String() string {
	if names := TransformNames(); int(x) < len(names) {
		return names[x]
	}
	return fmt.Sprintf("transform-%#x", uint8(x))
}

// Validate returns an error for a value that has no name.
func (x Transform) Validate() error {
	if int(x) >= len(TransformNames()) {
		return fmt.Errorf("input transform %#x is not known: want one of %q", uint8(x), TransformNames())
	}
	return nil
}

// apply transforms a pair, which is two halves of equal length.
func (x Transform) apply(pair []byte) {
	source, destination := pair[:len(pair)/2], pair[len(pair)/2:]
	for i := range source {
		xor, or := source[i]^destination[i], source[i]|destination[i]
		switch x {
		case SymmetricXOR:
			source[i], destination[i] = xor, xor
		case SymmetricOrXOR:
			source[i], destination[i] = or, xor
		}
	}
}
