package packet

import (
	"encoding/binary"
	"net/netip"
)

// TCPMinLength is the length in bytes of a TCP header without options.
const TCPMinLength = 20

// TCPFlags are the control bits of a TCP header (RFC 9293 section 3.1).
type TCPFlags uint8

// The control bits.
const (
	FIN TCPFlags = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Segment is a TCP segment from its header on (RFC 9293).
type Segment []byte

// SourcePort returns the sender's port.
func (s Segment) SourcePort() uint16 { return binary.BigEndian.Uint16(s[0:]) }

// DestinationPort returns the receiver's port.
func (s Segment) DestinationPort() uint16 { return binary.BigEndian.Uint16(s[2:]) }

// Acknowledgement returns the acknowledgement number.
func (s Segment) Acknowledgement() uint32 { return binary.BigEndian.Uint32(s[8:]) }

// HeaderLength returns the length in bytes, options included: 20 to 60 if valid.
func (s Segment) HeaderLength() int { return int(s[12]>>4) * 4 }

// Flags returns the control bits.
func (s Segment) Flags() TCPFlags { return TCPFlags(s[13]) }

// Window returns the window, not scaled.
func (s Segment) Window() uint16 { return binary.BigEndian.Uint16(s[14:]) }

// Checksum returns the checksum over pseudo-header and segment.
func (s Segment) Checksum() uint16 { return binary.BigEndian.Uint16(s[16:]) }

// SetSourcePort sets the sender's port.
func (s Segment) SetSourcePort(port uint16) { binary.BigEndian.PutUint16(s[0:], port) }

// SetDestinationPort sets the receiver's port.
func (s Segment) SetDestinationPort(port uint16) { binary.BigEndian.PutUint16(s[2:], port) }

// SetChecksum sets the checksum.
func (s Segment) SetChecksum(sum uint16) { binary.BigEndian.PutUint16(s[16:], sum) }

// UDPLength is the length in bytes of a UDP header.
const UDPLength = 8

// Datagram is a UDP datagram from its header on (RFC 768).
type Datagram []byte

// SourcePort returns the sender's port.
func (d Datagram) SourcePort() uint16 { return binary.BigEndian.Uint16(d[0:]) }

// DestinationPort returns the receiver's port.
func (d Datagram) DestinationPort() uint16 { return binary.BigEndian.Uint16(d[2:]) }

// Length returns the length in bytes of header and payload.
func (d Datagram) Length() int { return int(binary.BigEndian.Uint16(d[4:])) }

// Checksum returns the checksum over pseudo-header and datagram; 0 is none.
func (d Datagram) Checksum() uint16 { return binary.BigEndian.Uint16(d[6:]) }

// SetSourcePort sets the sender's port.
func (d Datagram) SetSourcePort(port uint16) { binary.BigEndian.PutUint16(d[0:], port) }

// SetDestinationPort sets the receiver's port.
func (d Datagram) SetDestinationPort(port uint16) { binary.BigEndian.PutUint16(d[2:], port) }

// SetChecksum sets the checksum.
func (d Datagram) SetChecksum(sum uint16) { binary.BigEndian.PutUint16(d[6:], sum) }

// The lengths in bytes of headers of which only the ports or the SPI are read: the
// common header of SCTP (RFC 9260), the fixed parts of ESP (RFC 4303) and AH (RFC 4302).
const (
	SCTPLength = 12
	ESPLength  = 8
	AHLength   = 12
)

// parseTransport reads the ports of TCP, UDP and SCTP, which have the same offset, or the SPI of
// ESP and AH. cut is true when the packet goes on after p and that was not captured.
func (h *Headers) parseTransport(p []byte, cut bool) error {
	need, missing := h.Flow.Protocol.headerLength(), ErrTransport
	if cut {
		need, missing = min(need, h.Flow.Protocol.deciding()), ErrCut
	}
	switch {
	case need == 0 || h.Fragment:
		return nil
	case len(p) < need:
		return missing
	case h.Flow.Protocol == ESP:
		h.Security, h.SPI = ESP, binary.BigEndian.Uint32(p)
	case h.Flow.Protocol == Authentication:
		h.Security, h.SPI = Authentication, binary.BigEndian.Uint32(p[4:])
	default:
		h.Flow.Source = netip.AddrPortFrom(h.Flow.Source.Addr(), binary.BigEndian.Uint16(p[0:]))
		h.Flow.Destination = netip.AddrPortFrom(h.Flow.Destination.Addr(), binary.BigEndian.Uint16(p[2:]))
		h.Ports = true
	}
	return nil
}

// deciding is the number of bytes of a header up to the end of its ports or SPI.
func (p Protocol) deciding() int {
	if p == Authentication {
		return 8
	}
	return 4
}

// headerLength is the least length in bytes of a header of the protocol; 0 for one
// that is not read.
func (p Protocol) headerLength() int {
	switch p {
	case TCP:
		return TCPMinLength
	case UDP:
		return UDPLength
	case SCTP:
		return SCTPLength
	case ESP:
		return ESPLength
	case Authentication:
		return AHLength
	}
	return 0
}
