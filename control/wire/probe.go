package wire

import (
	"fmt"
	"net/netip"
	"slices"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/lb"
	"lbctl/rss/packet"
)

// ResolveProbe makes a probe of a document. It leaves the interface out: the caller knows the interfaces and
// looks the name up. The error is an *intent.Error.
func ResolveProbe(doc api.Probe) (lb.Probe, error) {
	if doc.Frame != nil {
		return resolveFrame(doc)
	}
	var ps intent.Problems
	p := lb.Probe{Flow: packet.Flow{
		Source:      unmapped(address(&ps, "source", doc.Source)),
		Destination: unmapped(address(&ps, "destination", doc.Destination)),
		Protocol:    protocol(&ps, "protocol", doc.Protocol),
	}}
	flags := tcpFlags(&ps, doc.Flags)
	if len(doc.Flags) > 0 && p.Flow.Protocol == packet.UDP {
		ps.Add("flags", "leave the flags out, or use protocol tcp", "tcp flags with udp")
	}
	s, d := p.Flow.Source.Addr(), p.Flow.Destination.Addr()
	if s.IsValid() && d.IsValid() && s.Is4() != d.Is4() {
		ps.Add("source", "want both of one address family", "%v to %v", s, d)
	}
	if err := ps.Err(); err != nil {
		return p, err
	}
	return withFlags(p, flags), nil
}

// resolveFrame takes any bytes, also none.
func resolveFrame(doc api.Probe) (lb.Probe, error) {
	var ps intent.Problems
	if doc.Source != "" || doc.Destination != "" || doc.Protocol != "" || len(doc.Flags) > 0 {
		ps.Add("frame", "leave source, destination, protocol and flags out: the frame has them", "a frame and a flow")
	}
	if len(doc.Frame) > maxFrame {
		ps.Add("frame", fmt.Sprintf("want at most %d", maxFrame), "%d bytes", len(doc.Frame))
	}
	return lb.Probe{Frame: doc.Frame}, ps.Err()
}

// maxFrame is the length in bytes of the longest frame that is explained: an IP packet of the
// greatest length after an Ethernet header and two VLAN tags.
const maxFrame = 65535 + packet.EthernetLength + 2*packet.VLANLength

// withFlags adds TCP flags to a probe. lb.Probe knows SYN and ACK; other flags make it a frame.
func withFlags(p lb.Probe, flags packet.TCPFlags) lb.Probe {
	switch flags {
	case 0, packet.ACK:
		return p
	case packet.SYN:
		p.SYN = true
		return p
	}
	// The flow is valid, and so is the frame.
	return lb.Probe{Frame: packet.Frame{Flow: p.Flow, Flags: flags}.Marshal()}
}

// flagNames are those of packet.TCPFlags, from the lowest bit on.
var flagNames = [...]string{"fin", "syn", "rst", "psh", "ack", "urg"}

func tcpFlags(ps *intent.Problems, names []string) (flags packet.TCPFlags) {
	for i, name := range names {
		bit := slices.Index(flagNames[:], name)
		if bit < 0 {
			ps.Add(fmt.Sprintf("flags[%d]", i), "want syn, ack, fin, rst, psh or urg, or no flag", "%q is not known", name)
			continue
		}
		flags |= 1 << bit
	}
	return flags
}

// unmapped returns an IPv4-mapped IPv6 address as IPv4, and other addresses as they are.
func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
