package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Build returns the frame, with right lengths and checksums. It is not padded to
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
