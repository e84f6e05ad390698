// Package packet has views of the headers in a frame, a parser that reads what a
// NIC's parser reads, and a builder of valid frames.
//
// A view is a named byte slice with accessors, one type for each header. A view does
// not check its length: Parse does, and a caller that makes a view without Parse must. An
// accessor of a field past the end panics. Setters write to the frame and do not update
// checksums.
//
// Nothing here allocates except the builder and the String methods. Views of
// different frames may be used concurrently.
package packet

import (
	"errors"
	"net/netip"
)

// The errors of a malformed frame. Parse returns them unwrapped.
var (
	// ErrEthernet: the Ethernet header or a VLAN tag is cut short.
	ErrEthernet = errors.New("ethernet header is cut short")
	// ErrIP: an IP header or extension header is cut short or contradicts itself.
	ErrIP = errors.New("ip header is cut short or contradicts itself")
	// ErrTransport: a TCP, UDP, SCTP, ESP or AH header is cut short.
	ErrTransport = errors.New("transport header is cut short")
	// ErrCut: the capture ends before the ports or the SPI, or in a header before them. What the packet
	// has there is not known. Only ParseCaptured returns it, and Inner of its result.
	ErrCut = errors.New("capture ends in the headers")
)

// MaxVLANs is the number of VLAN tags that are skipped at most.
const MaxVLANs = 2

// Headers is what a NIC's parser reads of a frame.
type Headers struct {
	// EtherType is the one after the VLAN tags; a VLAN's when there are more than MaxVLANs.
	EtherType EtherType
	// VLANs is the number of tags skipped, 0 to MaxVLANs.
	VLANs int
	// Network is the offset of what follows the Ethernet header and tags.
	Network int
	// Transport is the offset of what follows the IP header and extension headers;
	// 0 when it was not reached.
	Transport int
	// Flow has the addresses and protocol of an IP packet, and its ports if Ports is true, else
	// ports 0. It is the zero Flow if the frame is not IP. The protocol is the one after
	// extension headers.
	Flow Flow
	// Ports is true when a whole TCP, UDP or SCTP header is at Transport. It is false for every
	// fragment, so that all fragments of a packet have one Flow.
	Ports bool
	// Security is ESP or Authentication when the SPI of such a header was read, else 0. In IPv6 an AH is
	// an extension header and Transport is after it; in IPv4 the AH itself is at Transport.
	Security Protocol
	SPI      uint32
	// FlowLabel is that of IPv6, 20 bits.
	FlowLabel uint32
	// Fragment is true for a fragment, the first included, and for any packet with
	// an IPv6 fragment header.
	Fragment bool
	// Options is true when an IPv4 header has options.
	Options bool
	// Extensions is the number of IPv6 extension headers, 0 to MaxExtensions.
	Extensions int
	// Super is true for a super-packet, which the kernel or the NIC merged (GRO, LRO) or has not segmented yet
	// (GSO, TSO), and whose IP header therefore has the length 0.
	Super bool
	// Cut is true when the end of the packet was not captured.
	Cut bool
}

// Parse reads the headers of a frame that begins with its Ethernet header. The payload may
// be missing, as in a capture with a short snapshot length, and checksums are not verified.
//
// The error is ErrEthernet, ErrIP, ErrTransport or nil; a frame that is not IP is no error.
// With ErrTransport everything but the ports was read; with the others, what precedes the
// fault. No input makes it panic, and it does not allocate.
func Parse(frame []byte) (h Headers, err error) {
	err = h.parseEthernet(frame)
	return h, err
}

// ParseCaptured is Parse of a record of a capture; cut is true when less was captured than the packet had. Of a
// transport header that is not whole, the ports or the SPI suffice. The error is ErrCut where what is missing was not
// captured, with the addresses and, if Transport is not 0, the protocol.
func ParseCaptured(frame []byte, cut bool) (h Headers, err error) {
	h.Cut = cut
	if err = h.parseEthernet(frame); err == ErrTransport && !cut {
		// Some tools cut packets and record the shortened length; then the IP header contradicts it.
		h = Headers{Cut: true}
		err = h.parseEthernet(frame)
	}
	return h, err
}

// ParseIP is Parse of a packet without Ethernet header, as in captures of link type raw IP, IPv4
// or IPv6. The version field says which IP it is; Network is 0.
func ParseIP(packet []byte) (h Headers, err error) {
	err = h.parseIP(packet)
	return h, err
}

// parseEthernet reads on from an Ethernet header at offset Network of b.
func (h *Headers) parseEthernet(b []byte) error {
	if len(b)-h.Network < EthernetLength {
		return h.short(ErrEthernet)
	}
	h.EtherType = Ethernet(b[h.Network:]).EtherType()
	h.Network += EthernetLength
	for h.EtherType.IsVLAN() && h.VLANs < MaxVLANs {
		if len(b) < h.Network+VLANLength {
			return h.short(ErrEthernet)
		}
		h.EtherType = VLAN(b[h.Network:]).EtherType()
		h.Network += VLANLength
		h.VLANs++
	}
	return h.parseNetwork(b)
}

// parseNetwork reads on from what EtherType says is at offset Network of b.
func (h *Headers) parseNetwork(b []byte) error {
	switch h.EtherType {
	case TypeIPv4:
		return h.parseIPv4(b[h.Network:])
	case TypeIPv6:
		return h.parseIPv6(b[h.Network:])
	}
	return nil
}

// parseIP reads on from an IP header at offset Network of b.
func (h *Headers) parseIP(b []byte) error {
	if len(b) <= h.Network {
		return h.short(ErrIP)
	}
	switch b[h.Network] >> 4 {
	case 4:
		h.EtherType = TypeIPv4
	case 6:
		h.EtherType = TypeIPv6
	default:
		return ErrIP
	}
	return h.parseNetwork(b)
}

// short is the error of a header that ends with the frame.
func (h *Headers) short(damaged error) error {
	if h.Cut {
		return ErrCut
	}
	return damaged
}

func (h *Headers) parseIPv4(p IPv4) error {
	switch {
	case len(p) > 0 && p.Version() != 4:
		return ErrIP
	case len(p) < IPv4MinLength:
		return h.short(ErrIP)
	}
	length, total := p.HeaderLength(), p.TotalLength()
	if total == 0 && h.longerThanPadding(p) {
		h.Super, total = true, max(length, len(p))
	}
	switch {
	case length < IPv4MinLength, total < length:
		return ErrIP
	case length > len(p):
		return h.short(ErrIP)
	}
	h.setAddresses(p.Source(), p.Destination(), p.Protocol())
	h.Options = length > IPv4MinLength
	h.Fragment = p.IsFragment()
	h.Transport = h.Network + length
	return h.parseTransport(p[length:min(total, len(p))], h.Cut && (h.Super || total > len(p)))
}

func (h *Headers) parseIPv6(p IPv6) error {
	switch {
	case len(p) > 0 && p.Version() != 6:
		return ErrIP
	case len(p) < IPv6Length:
		return h.short(ErrIP)
	}
	rest, cut := p[IPv6Length:], h.Cut
	switch length := p.PayloadLength(); {
	case length == 0 && p.NextHeader() == HopByHop: // a jumbogram, or a super-packet made one
		h.Super = true
	case length == 0 && p.NextHeader() != NoNextHeader && h.longerThanPadding(p):
		h.Super = true
	default:
		cut = cut && length > len(rest)
		rest = rest[:min(len(rest), length)]
	}
	c, ok := walk(p.NextHeader(), rest)
	h.setAddresses(p.Source(), p.Destination(), c.next)
	h.Extensions, h.Fragment, h.FlowLabel = c.count, c.fragment, p.FlowLabel()
	if c.authenticated {
		h.Security, h.SPI = Authentication, c.spi
	}
	switch {
	case !ok && cut:
		return ErrCut
	case !ok:
		return ErrIP
	}
	h.Transport = h.Network + IPv6Length + c.length
	return h.parseTransport(rest[c.length:], cut)
}

// minFrame is the length in bytes to which Ethernet pads a frame, without its checksum.
const minFrame = 60

// longerThanPadding tells whether a packet has more bytes than the padding of an empty one. Only then is the length 0 in its
// header that of a super-packet, and no damage.
func (h *Headers) longerThanPadding(packet []byte) bool {
	return h.Cut || h.Network+len(packet) > minFrame
}

func (h *Headers) setAddresses(source, destination netip.Addr, protocol Protocol) {
	h.Flow = Flow{
		Source:      netip.AddrPortFrom(source, 0),
		Destination: netip.AddrPortFrom(destination, 0),
		Protocol:    protocol,
	}
}
