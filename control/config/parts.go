package config

import (
	"fmt"
	"net/netip"

	"lbctl/control/api"
	"lbctl/control/reconcile"
	"lbctl/lb"
	"lbctl/rss/packet"
)

// ResolveReplica makes a valid replica of a document. The error is an *Error with
// fields "address" and "weight".
func ResolveReplica(doc api.Replica) (lb.Replica, error) {
	var ps problems
	r := lb.Replica{Address: address(&ps, "address", doc.Address), Weight: weight(&ps, "weight", doc.Weight)}
	return r, ps.err()
}

// ResolveInterface makes an attachment of a document. The error is an *Error with
// fields "name" and "mode".
func ResolveInterface(doc api.Interface) (reconcile.Attachment, error) {
	var ps problems
	a := resolveInterface(&ps, "", doc)
	return a, ps.err()
}

// ResolveProbe makes a probe of a document. The error is an *Error.
func ResolveProbe(doc api.Probe) (lb.Probe, error) {
	var ps problems
	p := lb.Probe{Flow: packet.Flow{
		Source:      unmapped(address(&ps, "source", doc.Source)),
		Destination: unmapped(address(&ps, "destination", doc.Destination)),
		Protocol:    protocol(&ps, "protocol", doc.Protocol),
	}}
	for i, flag := range doc.Flags {
		if flag != "syn" {
			ps.add(fmt.Sprintf("flags[%d]", i), "want syn, or no flag", "%q is not known", flag)
		}
		p.SYN = true
	}
	s, d := p.Flow.Source.Addr(), p.Flow.Destination.Addr()
	if s.IsValid() && d.IsValid() && s.Is4() != d.Is4() {
		ps.add("source", "want both of one address family", "%v to %v", s, d)
	}
	return p, ps.err()
}

// unmapped returns an IPv4 address that is written as IPv6 as what it is on the wire.
func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
