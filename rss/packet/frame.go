package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Frame describes a valid frame to be built, for tests and rigs. Only the Flow is
// needed; the zero value of every other field has a meaning.
type Frame struct {
	Source, Destination MAC
	// Tags are VLAN tags, the outermost first.
	Tags []Tag
	// Flow decides IPv4 or IPv6 by its addresses, which are of one family. A protocol
	// other than TCP and UDP has its whole layer 4 in Payload, and ports 0.
	Flow Flow
	// TTL is the time to live or hop limit; 0 stands for 64.
	TTL uint8
	// ID is the identification of an IPv4 header, or of fragments of either family.
	ID uint16
	// DontFragment sets the DF bit of an IPv4 header.
	DontFragment bool
	// Options are those of an IPv4 header, a multiple of 4 bytes, at most 40.
	Options []byte
	// Extensions are the extension headers of an IPv6 header.
	Extensions []Extension
	// Fragment makes the frame a fragment. One with an offset has no layer-4 header. The layer-4
	// length and checksum of the first fragment cover its own payload only.
	Fragment *Fragment
	// Flags are those of a TCP header; 0 stands for ACK.
	Flags TCPFlags
	// Sequence, Acknowledgement are those of a TCP header.
	Sequence, Acknowledgement uint32
	// Window is that of a TCP header; 0 stands for 65535.
	Window uint16
	// Payload follows the headers.
	Payload []byte
}

// Extension is an IPv6 extension header to be built.
type Extension struct {
	// Kind is HopByHop, Routing, DestinationOptions, Mobility, HIP or Shim6.
	Kind Protocol
	// Data follows the two bytes of next header and length: 6, 14, 22, ... bytes.
	// nil stands for 6 bytes that are one PadN option (RFC 8200 section 4.2).
	Data []byte
}

// Fragment says which part of a packet a frame carries.
type Fragment struct {
	// Offset is the position of the payload in the whole packet's in bytes, a multiple of 8.
	Offset int
	// More is true for all fragments except the last.
	More bool
}

// Build returns the frame, with correct lengths and checksums. It is not padded to
// Ethernet's minimum of 60 bytes. It returns an error when the description
// contradicts itself or does not fit.
func (f Frame) Build() ([]byte, error) {
	f = f.withDefaults()
	if err := f.validate(); err != nil {
		return nil, fmt.Errorf("build frame: %w", err)
	}
	b := f.appendEthernet(make([]byte, 0, 128+len(f.Payload)))
	if f.ipv4() {
		b = f.appendIPv4(b)
	} else {
		b = f.appendIPv6(b)
	}
	return f.appendTransport(b), nil
}

// Marshal is Build where the frame is known to be valid, as in a test: it panics
// with Build's error.
func (f Frame) Marshal() []byte {
	b, err := f.Build()
	if err != nil {
		panic(err)
	}
	return b
}

func (f Frame) ipv4() bool { return f.Flow.Source.Addr().Is4() }

func (f Frame) withDefaults() Frame {
	if f.TTL == 0 {
		f.TTL = 64
	}
	if f.Flags == 0 {
		f.Flags = ACK
	}
	if f.Window == 0 {
		f.Window = 65535
	}
	f.Tags = slices.Clone(f.Tags)
	for i, tag := range f.Tags {
		if tag.Type == 0 {
			f.Tags[i].Type = TypeVLAN
		}
	}
	return f
}

func (f Frame) validate() error {
	source, destination := f.Flow.Source.Addr(), f.Flow.Destination.Addr()
	length := f.transportLength() + len(f.extensions())
	if f.ipv4() {
		length += IPv4MinLength + len(f.Options)
	}
	switch {
	case !source.IsValid() || source.BitLen() != destination.BitLen():
		return fmt.Errorf("flow %v: want two addresses of one family", f.Flow)
	case len(f.Options) > 40 || len(f.Options)%4 != 0:
		return fmt.Errorf("%d bytes of ipv4 options: want a multiple of 4 up to 40", len(f.Options))
	case f.ipv4() && len(f.Extensions) > 0 || !f.ipv4() && len(f.Options) > 0:
		return errors.New("ipv4 options or ipv6 extensions on the other family")
	case f.Fragment != nil && (f.Fragment.Offset%8 != 0 || f.Fragment.Offset < 0 || f.Fragment.Offset > 0xfff8):
		return fmt.Errorf("fragment offset %d: want a multiple of 8 up to 65528", f.Fragment.Offset)
	case slices.ContainsFunc(f.Extensions, func(e Extension) bool { return !e.valid() }):
		return errors.New("extension header of an unknown kind, or its data not 6, 14, 22, ... bytes")
	case length > 65535:
		return fmt.Errorf("packet of %d bytes: want at most 65535", length)
	}
	return nil
}

func (f Frame) appendEthernet(b []byte) []byte {
	b = append(b, f.Destination[:]...)
	b = append(b, f.Source[:]...)
	for _, tag := range f.Tags {
		b = binary.BigEndian.AppendUint16(b, uint16(tag.Type))
		b = binary.BigEndian.AppendUint16(b, uint16(tag.Priority)<<13|tag.ID&0x0fff)
	}
	if f.ipv4() {
		return binary.BigEndian.AppendUint16(b, uint16(TypeIPv4))
	}
	return binary.BigEndian.AppendUint16(b, uint16(TypeIPv6))
}
