package packet

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Protocol is the layer-4 protocol number of an IP header (IANA "Assigned
// Internet Protocol Numbers"). It is never an EtherType.
type Protocol uint8

// The protocols that carry ports.
const (
	TCP  Protocol = 6
	UDP  Protocol = 17
	SCTP Protocol = 132
)

// Other protocols that NICs distinguish. AH is Authentication.
const (
	ICMP   Protocol = 1
	ICMPv6 Protocol = 58
	ESP    Protocol = 50
	GRE    Protocol = 47
	// InnerIPv4 and InnerIPv6: an IP packet follows (RFC 2003, RFC 2473).
	InnerIPv4 Protocol = 4
	InnerIPv6 Protocol = 41
)

// named returns the protocols that have a name.
func named() map[Protocol]string {
	return map[Protocol]string{
		TCP: "tcp", UDP: "udp", SCTP: "sctp", ICMP: "icmp", ICMPv6: "icmpv6", ESP: "esp", Authentication: "ah", GRE: "gre",
	}
}

// String returns "tcp", "udp", "sctp", "icmp", "icmpv6", "esp", "ah", "gre", or the number.
func (p Protocol) String() string {
	switch p { // the common ones without a map
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	}
	if name, ok := named()[p]; ok {
		return name
	}
	return fmt.Sprintf("protocol-%d", uint8(p))
}

// ParseAnyProtocol reads what String returns, or a number from 0 to 255.
func ParseAnyProtocol(s string) (Protocol, error) {
	for p, name := range named() {
		if s == name {
			return p, nil
		}
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "protocol-"), 10, 8)
	if err != nil {
		return 0, fmt.Errorf("protocol %q: want tcp, udp, sctp, icmp, icmpv6, esp, ah, gre, or a number from 0 to 255", s)
	}
	return Protocol(n), nil
}

// HasPorts tells whether the protocol is TCP, UDP or SCTP.
func (p Protocol) HasPorts() bool { return p == TCP || p == UDP || p == SCTP }

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
// IPv4 addresses are never in the form ::ffff:a.b.c.d, so that flows compare with ==. The
// zero value is no flow.
type Flow struct {
	Source, Destination netip.AddrPort
	Protocol            Protocol
}

// Reverse returns the flow of the opposite direction.
func (f Flow) Reverse() Flow {
	return Flow{Source: f.Destination, Destination: f.Source, Protocol: f.Protocol}
}

// String returns "tcp 192.0.2.1:1234 > 198.51.100.1:80".
func (f Flow) String() string {
	return fmt.Sprintf("%v %v > %v", f.Protocol, f.Source, f.Destination)
}
