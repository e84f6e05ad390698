package packet

import "encoding/binary"

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
