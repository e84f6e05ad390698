package packet

import "encoding/binary"

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
