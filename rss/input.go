package rss

import (
	"encoding/binary"
	"net/netip"
)

// MaxInputLength is the longest input that AppendInput makes, in bytes: an IPv6 4-tuple and
// a flow label.
const MaxInputLength = IPv6TupleLength + flowLabelLength

// flowLabelLength is the length in bytes of a flow label's 20 bits, four zeros before them.
const flowLabelLength = 3

// Values are what a NIC can hash of one packet.
type Values struct {
	// Source and Destination are of one family.
	Source, Destination netip.Addr
	// SourcePort and DestinationPort are bytes 0 to 1 and 2 to 3 of the layer-4 header: ports of
	// TCP, UDP and SCTP, the halves of the SPI of ESP and AH (there they are bytes 4 to 7).
	SourcePort, DestinationPort uint16
	// FlowLabel is that of IPv6, 20 bits.
	FlowLabel uint32
}

// AppendInput appends what is hashed of the values: those of the fields, in the
// order source address, destination address, source port, destination port, flow label, without
// gaps, in network byte order; at most MaxInputLength bytes. Fields that are not
// Hashable add nothing. With a transform, the fields must be Symmetric; of other sets nothing is
// transformed.
//
// Microsoft's documentation gives the order up to the ports. That of the flow label is a
// choice made here: no vendor says where it is.
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

// appendAddress is append of the address's bytes, and keeps them off the heap.
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
