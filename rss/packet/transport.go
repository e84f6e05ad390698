package packet

import (
	"encoding/binary"
	"net/netip"
)

// The lengths in bytes of headers that are read no further than to the ports or SPI: the
// common header of SCTP (RFC 9260), the fixed parts of ESP (RFC 4303) and AH (RFC 4302).
const (
	SCTPLength = 12
	ESPLength  = 8
	AHLength   = 12
)

// parseTransport reads the ports of TCP, UDP and SCTP, which are in the same place, or the SPI of
// ESP and AH.
func (h *Headers) parseTransport(p []byte) error {
	need := h.Flow.Protocol.headerLength()
	switch {
	case need == 0 || h.Fragment:
		return nil
	case len(p) < need:
		return ErrTransport
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

// headerLength is the length in bytes that a header of the protocol has at least; 0 for one
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
