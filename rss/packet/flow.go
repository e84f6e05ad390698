package packet

import (
	"fmt"
	"net/netip"
)

// Protocol is the layer-4 protocol number of an IP header (IANA "Assigned
// Internet Protocol Numbers"). It is never an EtherType.
type Protocol uint8

// The protocols that carry ports.
const (
	TCP Protocol = 6
	UDP Protocol = 17
)

// String returns "tcp", "udp", or the number.
func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	}
	return fmt.Sprintf("protocol-%d", uint8(p))
}

// ParseProtocol reads "tcp" or "udp".
func ParseProtocol(s string) (Protocol, error) {
	switch s {
	case "tcp":
		return TCP, nil
	case "udp":
		return UDP, nil
	}
	return 0, fmt.Errorf("protocol %q: want tcp or udp", s)
}

// Flow is one direction of a conversation: the 4-tuple and its protocol.
// Addresses are unmapped (an IPv4 address is never held as ::ffff:a.b.c.d), so
// that flows compare with ==. The zero value is no flow.
type Flow struct {
	Source, Destination netip.AddrPort
	Protocol            Protocol
}

// Reverse returns the flow of the answers.
func (f Flow) Reverse() Flow {
	return Flow{Source: f.Destination, Destination: f.Source, Protocol: f.Protocol}
}

// String returns "tcp 192.0.2.1:1234 > 198.51.100.1:80".
func (f Flow) String() string {
	return fmt.Sprintf("%v %v > %v", f.Protocol, f.Source, f.Destination)
}
