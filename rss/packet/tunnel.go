package packet

import (
	"encoding/binary"
	"strings"
)

// Tunnel is a set of encapsulations. The zero value is the empty set.
type Tunnel uint8

// The tunnels that Inner can read.
const (
	TunnelIPIP   Tunnel = 1 << iota // IPv4 or IPv6 in either (RFC 2003, RFC 2473)
	TunnelGRE                       // version 0 with IP or Ethernet in it, NVGRE included (RFC 2890)
	TunnelVXLAN                     // RFC 7348
	TunnelGeneve                    // RFC 8926
	TunnelGTPU                      // 3GPP TS 29.281, user data only
	TunnelPPPoE                     // RFC 2516, IPv4 and IPv6 in PPP
	TunnelMPLS                      // RFC 3032, IP after the last label

	AllTunnels = TunnelIPIP | TunnelGRE | udpTunnels | TunnelPPPoE | TunnelMPLS
	udpTunnels = TunnelVXLAN | TunnelGeneve | TunnelGTPU
)

// The UDP ports by which a NIC recognises a tunnel (IANA).
const (
	VXLANPort  = 4789
	GenevePort = 6081
	GTPUPort   = 2152
)

// tunnels holds the names of the bits from the lowest on.
const tunnels = "ipip gre vxlan geneve gtpu pppoe mpls"

// String returns the names, as in "gre,vxlan"; "none" for the empty set.
func (t Tunnel) String() string {
	var names []string
	for i, name := range strings.Fields(tunnels) {
		if t&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, ",")
}

// Inner reads the headers of an encapsulated packet: b is the input of Parse or
// ParseIP, outer its result. Offsets are in b, so Inner of the result reads the next
// tunnel.
//
// The tunnel is 0 when there is no known one: another protocol, a fragment, a
// header that is cut short. Otherwise the error is that of Parse for the inner packet. Where the capture
// ends before it is known what the packet carries, it is ErrCut, and the tunnel is the set of those that it may be. No
// input makes it panic as long as outer is of b, and it does not allocate.
func Inner(b []byte, outer *Headers) (inner Headers, tunnel Tunnel, err error) {
	at, c := outer.Network, inside{}
	switch {
	case outer.EtherType == TypePPPoE && at <= len(b):
		c = inPPPoE(b[at:])
	case (outer.EtherType == TypeMPLS || outer.EtherType == TypeMPLSMulticast) && at <= len(b):
		c = inMPLS(b[at:])
	case outer.Transport != 0 && !outer.Fragment && outer.Transport <= len(b):
		at = outer.Transport
		c = carried(b[at:], &outer.Flow, outer.Ports)
	}
	switch {
	case c.ends && outer.Cut:
		return Headers{}, c.tunnel, ErrCut
	case c.ends || c.tunnel == 0:
		return Headers{}, 0, nil
	}
	inner.Network, inner.EtherType, inner.Cut = at+c.offset, c.what, outer.Cut
	switch c.what {
	case transparentEthernet:
		err = inner.parseEthernet(b)
	case anyIP:
		err = inner.parseIP(b)
	default:
		err = inner.parseNetwork(b)
	}
	return inner, c.tunnel, err
}

// transparentEthernet is the EtherType of a whole frame in a tunnel (RFC 1701); anyIP is not a valid
// EtherType and stands for IP of either version.
const (
	transparentEthernet EtherType = 0x6558
	anyIP               EtherType = 0
)

// inside is the place and the type of an inner packet.
type inside struct {
	tunnel Tunnel
	// offset is from the start of the outer packet's layer 4, or of what follows the Ethernet header.
	offset int
	what   EtherType
	// ends is true when the bytes end before the inner packet; tunnel is then the set of tunnels that it may be.
	ends bool
}

// end is the result for a header that is not whole.
func end(possible Tunnel) inside { return inside{tunnel: possible, ends: true} }

// carried looks for an inner packet in the layer 4 of the outer one.
func carried(b []byte, flow *Flow, ports bool) inside {
	switch flow.Protocol {
	case InnerIPv4:
		return inside{tunnel: TunnelIPIP, what: TypeIPv4}
	case InnerIPv6:
		return inside{tunnel: TunnelIPIP, what: TypeIPv6}
	case GRE:
		return inGRE(b)
	}
	switch {
	case flow.Protocol != UDP:
		return inside{}
	case !ports:
		return end(udpTunnels)
	}
	return inUDP(b[min(UDPLength, len(b)):], flow.Destination.Port())
}

// inUDP looks for an inner packet in a datagram's payload.
func inUDP(b []byte, port uint16) (c inside) {
	switch port {
	case VXLANPort:
		c = inVXLAN(b)
	case GenevePort:
		c = inGeneve(b)
	case GTPUPort:
		c = inGTPU(b)
	}
	c.offset += UDPLength
	return c
}

// inGRE: checksum, key and sequence number are optional, 4 bytes each.
func inGRE(b []byte) inside {
	if len(b) < 4 {
		return end(TunnelGRE)
	}
	flags, what := binary.BigEndian.Uint16(b), EtherType(binary.BigEndian.Uint16(b[2:]))
	const checksum, routing, key, sequence, version = 0x8000, 0x4000, 0x2000, 0x1000, 0x0007
	length := 4
	for _, option := range []uint16{checksum, key, sequence} {
		if flags&option != 0 {
			length += 4
		}
	}
	switch {
	case flags&(routing|version) != 0 || !what.carriable():
		return inside{}
	case len(b) < length:
		return end(TunnelGRE)
	}
	return inside{tunnel: TunnelGRE, offset: length, what: what}
}

func inVXLAN(b []byte) inside {
	const length, valid = 8, 0x08
	switch {
	case len(b) < length:
		return end(TunnelVXLAN)
	case b[0]&valid == 0:
		return inside{}
	}
	return inside{tunnel: TunnelVXLAN, offset: length, what: transparentEthernet}
}

func inGeneve(b []byte) inside {
	switch {
	case len(b) < 8:
		return end(TunnelGeneve)
	case b[0]>>6 != 0:
		return inside{}
	}
	length, what := 8+4*int(b[0]&0x3f), EtherType(binary.BigEndian.Uint16(b[2:]))
	switch {
	case !what.carriable():
		return inside{}
	case len(b) < length:
		return end(TunnelGeneve)
	}
	return inside{tunnel: TunnelGeneve, offset: length, what: what}
}

// inGTPU: any of three flags adds 4 bytes, of which the last says whether an extension
// header follows. The first byte of an extension header is its length in units of 4 bytes, the last says
// whether another follows. The limit on their number also ends a loop of headers of length 0.
func inGTPU(b []byte) inside {
	const version1, userData, optional, extension = 0x30, 0xff, 0x07, 0x04
	switch {
	case len(b) < 8:
		return end(TunnelGTPU)
	case b[0]&0xf0 != version1 || b[1] != userData:
		return inside{}
	}
	length, more := 8, false
	if b[0]&optional != 0 {
		length = 12
		more = b[0]&extension != 0 && len(b) >= length && b[length-1] != 0
	}
	for count := 0; more; count++ {
		switch {
		case count == MaxExtensions:
			return inside{}
		case len(b) <= length || len(b) < length+4*int(b[length]):
			return end(TunnelGTPU)
		}
		length += 4 * int(b[length])
		more = b[length-1] != 0
	}
	if len(b) < length {
		return end(TunnelGTPU)
	}
	return inside{tunnel: TunnelGTPU, offset: length, what: anyIP}
}

// carriable tells whether Inner can read the inner packet.
func (t EtherType) carriable() bool {
	return t == TypeIPv4 || t == TypeIPv6 || t == transparentEthernet
}
