package packet

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// What can be wrong with a frame. Parse returns these values themselves.
var (
	// ErrEthernet: the Ethernet header or a VLAN tag is cut short.
	ErrEthernet = errors.New("ethernet header is cut short")
	// ErrIP: an IP header or extension header is cut short or contradicts itself.
	ErrIP = errors.New("ip header is cut short or contradicts itself")
	// ErrTransport: a TCP or UDP header is cut short.
	ErrTransport = errors.New("transport header is cut short")
)

// MaxVLANs is how many VLAN tags are looked behind.
const MaxVLANs = 2

// Headers is what a NIC's parser sees of a frame.
type Headers struct {
	// EtherType is that behind the VLAN tags; a VLAN's when there are more than MaxVLANs.
	EtherType EtherType
	// VLANs is the number of tags passed over, 0 to MaxVLANs.
	VLANs int
	// Network is the offset of what follows the Ethernet header and tags.
	Network int
	// Transport is the offset of what follows the IP header and extension headers;
	// 0 when that was not reached.
	Transport int
	// Flow has addresses and protocol of an IP packet, and its ports if Ports; else
	// ports are 0. It is the zero Flow for what is not IP. Behind extension headers
	// its protocol is that of what follows them.
	Flow Flow
	// Ports is true when a whole TCP or UDP header is at Transport. Never in a fragment,
	// so that all of a packet's fragments have one Flow.
	Ports bool
	// Fragment is true for a part of a packet, the first included, and for any packet with
	// an IPv6 fragment header.
	Fragment bool
	// Options is true when an IPv4 header has options.
	Options bool
	// Extensions is the number of IPv6 extension headers, 0 to MaxExtensions.
	Extensions int
}

// Parse reads the headers of a frame that begins with its Ethernet header. It
// looks at headers only: the payload may be cut off, as a capture does, and
// checksums are not verified.
//
// The error is nil, also for what is not IP, or one of ErrEthernet, ErrIP,
// ErrTransport. With ErrTransport all is there but the ports; with the others, what was
// read before the fault. No input makes it panic, and it does not allocate.
func Parse(frame []byte) (h Headers, err error) {
	if len(frame) < EthernetLength {
		return h, ErrEthernet
	}
	h.EtherType, h.Network = Ethernet(frame).EtherType(), EthernetLength
	for h.EtherType.IsVLAN() && h.VLANs < MaxVLANs {
		if len(frame) < h.Network+VLANLength {
			return h, ErrEthernet
		}
		h.EtherType = VLAN(frame[h.Network:]).EtherType()
		h.Network += VLANLength
		h.VLANs++
	}
	switch h.EtherType {
	case TypeIPv4:
		err = h.parseIPv4(frame[h.Network:])
	case TypeIPv6:
		err = h.parseIPv6(frame[h.Network:])
	}
	return h, err
}

func (h *Headers) parseIPv4(p IPv4) error {
	if len(p) < IPv4MinLength || p.Version() != 4 {
		return ErrIP
	}
	length, total := p.HeaderLength(), p.TotalLength()
	if length < IPv4MinLength || length > len(p) || total < length {
		return ErrIP
	}
	h.setAddresses(p.Source(), p.Destination(), p.Protocol())
	h.Options = length > IPv4MinLength
	h.Fragment = p.IsFragment()
	h.Transport = h.Network + length
	return h.parsePorts(p[length:min(total, len(p))])
}

func (h *Headers) parseIPv6(p IPv6) error {
	if len(p) < IPv6Length || p.Version() != 6 {
		return ErrIP
	}
	rest := p[IPv6Length:]
	jumbogram := p.PayloadLength() == 0 && p.NextHeader() == HopByHop
	if !jumbogram {
		rest = rest[:min(len(rest), p.PayloadLength())]
	}
	c, ok := walk(p.NextHeader(), rest)
	h.setAddresses(p.Source(), p.Destination(), c.next)
	h.Extensions, h.Fragment = c.count, c.fragment
	if !ok {
		return ErrIP
	}
	h.Transport = h.Network + IPv6Length + c.length
	return h.parsePorts(rest[c.length:])
}

func (h *Headers) setAddresses(source, destination netip.Addr, protocol Protocol) {
	h.Flow = Flow{
		Source:      netip.AddrPortFrom(source, 0),
		Destination: netip.AddrPortFrom(destination, 0),
		Protocol:    protocol,
	}
}

// parsePorts reads the ports of TCP and UDP, which are in the same place.
func (h *Headers) parsePorts(p []byte) error {
	need := 0
	switch h.Flow.Protocol {
	case TCP:
		need = TCPMinLength
	case UDP:
		need = UDPLength
	}
	if need == 0 || h.Fragment {
		return nil
	}
	if len(p) < need {
		return ErrTransport
	}
	h.Flow.Source = netip.AddrPortFrom(h.Flow.Source.Addr(), binary.BigEndian.Uint16(p[0:]))
	h.Flow.Destination = netip.AddrPortFrom(h.Flow.Destination.Addr(), binary.BigEndian.Uint16(p[2:]))
	h.Ports = true
	return nil
}
