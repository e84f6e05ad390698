package packet

import (
	"encoding/binary"
)

func (f Frame) appendIPv4(b []byte) []byte {
	start, length := len(b), IPv4MinLength+len(f.Options)
	b = append(b, 0x40|byte(length/4), 0)
	b = binary.BigEndian.AppendUint16(b, uint16(length+f.transportLength()))
	b = binary.BigEndian.AppendUint16(b, f.ID)
	b = binary.BigEndian.AppendUint16(b, f.ipv4Fragment())
	b = append(b, f.TTL, byte(f.Flow.Protocol), 0, 0)
	b = append(b, f.Flow.Source.Addr().AsSlice()...)
	b = append(b, f.Flow.Destination.Addr().AsSlice()...)
	b = append(b, f.Options...)
	header := IPv4(b[start:])
	header.SetChecksum(header.HeaderChecksum())
	return b
}

// ipv4Fragment returns the word of flags and fragment offset.
func (f Frame) ipv4Fragment() uint16 {
	var word uint16
	if f.DontFragment {
		word |= ipv4DontFragment
	}
	if f.Fragment != nil {
		word |= uint16(f.Fragment.Offset / 8)
		if f.Fragment.More {
			word |= ipv4MoreFragments
		}
	}
	return word
}

func (f Frame) appendIPv6(b []byte) []byte {
	extensions := f.extensions()
	b = binary.BigEndian.AppendUint32(b, 6<<28)
	b = binary.BigEndian.AppendUint16(b, uint16(len(extensions)+f.transportLength()))
	b = append(b, byte(f.firstHeader()), f.TTL)
	b = append(b, f.Flow.Source.Addr().AsSlice()...)
	b = append(b, f.Flow.Destination.Addr().AsSlice()...)
	return append(b, extensions...)
}

// kinds returns the protocols after the fixed IPv6 header, the layer-4 one last.
func (f Frame) kinds() []Protocol {
	var kinds []Protocol
	for _, e := range f.Extensions {
		kinds = append(kinds, e.Kind)
	}
	if f.Fragment != nil && !f.ipv4() {
		kinds = append(kinds, FragmentHeader)
	}
	return append(kinds, f.Flow.Protocol)
}

func (f Frame) firstHeader() Protocol { return f.kinds()[0] }

// extensions returns the extension headers, the fragment header last.
func (f Frame) extensions() []byte {
	var b []byte
	kinds := f.kinds()
	for i, e := range f.Extensions {
		data := e.data()
		b = append(b, byte(kinds[i+1]), byte((len(data)+2)/8-1))
		b = append(b, data...)
	}
	if f.Fragment != nil && !f.ipv4() {
		word := uint16(f.Fragment.Offset)
		if f.Fragment.More {
			word |= 1
		}
		b = append(b, byte(f.Flow.Protocol), 0)
		b = binary.BigEndian.AppendUint16(b, word)
		b = binary.BigEndian.AppendUint32(b, uint32(f.ID))
	}
	return b
}

// padding is 6 bytes that are one PadN option (RFC 8200 section 4.2).
const padding = "\x01\x04\x00\x00\x00\x00"

func (e Extension) data() []byte {
	if e.Data == nil {
		return []byte(padding)
	}
	return e.Data
}

func (e Extension) valid() bool {
	length := len(e.data()) + 2
	simple := e.Kind.IsExtension() && e.Kind != FragmentHeader && e.Kind != Authentication
	return simple && length%8 == 0 && length <= 256*8
}

// transportHeaderLength is 0 for a protocol without ports, and for a fragment that is
// not the first.
func (f Frame) transportHeaderLength() int {
	switch {
	case f.Fragment != nil && f.Fragment.Offset > 0:
		return 0
	case f.Flow.Protocol == TCP:
		return TCPMinLength
	case f.Flow.Protocol == UDP:
		return UDPLength
	}
	return 0
}

func (f Frame) transportLength() int { return f.transportHeaderLength() + len(f.Payload) }

func (f Frame) appendTransport(b []byte) []byte {
	start := len(b)
	if f.transportHeaderLength() == 0 {
		return append(b, f.Payload...)
	}
	b = binary.BigEndian.AppendUint16(b, f.Flow.Source.Port())
	b = binary.BigEndian.AppendUint16(b, f.Flow.Destination.Port())
	if f.Flow.Protocol == UDP {
		return f.finishUDP(b, start)
	}
	return f.finishTCP(b, start)
}

func (f Frame) finishUDP(b []byte, start int) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(f.transportLength()))
	b = append(b, 0, 0)
	b = append(b, f.Payload...)
	sum := f.checksum(b[start:])
	if sum == 0 { // 0 on the wire means there is none (RFC 768)
		sum = 0xffff
	}
	Datagram(b[start:]).SetChecksum(sum)
	return b
}

func (f Frame) finishTCP(b []byte, start int) []byte {
	b = binary.BigEndian.AppendUint32(b, f.Sequence)
	b = binary.BigEndian.AppendUint32(b, f.Acknowledgement)
	b = append(b, TCPMinLength/4<<4, byte(f.Flags))
	b = binary.BigEndian.AppendUint16(b, f.Window)
	b = append(b, 0, 0, 0, 0)
	b = append(b, f.Payload...)
	Segment(b[start:]).SetChecksum(f.checksum(b[start:]))
	return b
}

func (f Frame) checksum(b []byte) uint16 {
	return TransportChecksum(f.Flow.Source.Addr(), f.Flow.Destination.Addr(), f.Flow.Protocol, b)
}
