package packet

import "encoding/binary"

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
