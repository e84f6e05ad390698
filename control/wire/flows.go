package wire

import (
	"net/netip"
	"strconv"
	"strings"

	"lbctl/control/intent"
	"lbctl/lb"
	"lbctl/rss/packet"
)

// ResolveFlows reads which flows are wanted; "" and 0 stand for all. The error is an *intent.Error about source, destination or
// protocol.
func ResolveFlows(source, destination, proto string, port uint16) (lb.FlowFilter, error) {
	var ps intent.Problems
	f := lb.FlowFilter{Source: addresses(&ps, "source", source), Port: port}
	f.Destination, f.DestinationPort = addressesAndPort(&ps, "destination", destination)
	if proto != "" {
		var err error
		if f.Protocol, err = packet.ParseAnyProtocol(proto); err != nil || f.Protocol == 0 {
			ps.Add("protocol", "want tcp, udp, sctp, icmp, icmpv6, esp, ah, gre, or a number from 1 to 255", "%q is not known", proto)
		}
	}
	if f.Source.IsValid() && f.Destination.IsValid() && f.Source.Addr().Is4() != f.Destination.Addr().Is4() {
		ps.Add("source", "want both of one address family", "%v to %v", f.Source, f.Destination)
	}
	ports := f.Port | f.DestinationPort
	if f.Protocol != 0 && ports != 0 && !f.Protocol.HasPorts() {
		ps.Add("protocol", "want tcp, udp or sctp, or leave the port out", "%v, which has no ports, and port %d", f.Protocol, ports)
	}
	return f, ps.Err()
}

// addresses reads an address or a prefix.
func addresses(ps *intent.Problems, field, text string) netip.Prefix {
	if text == "" {
		return netip.Prefix{}
	}
	const want = "want an address or a prefix: 198.51.100.7 or 2001:db8::/32"
	p, err := netip.ParsePrefix(text)
	if a, single := netip.ParseAddr(text); single == nil && a.Zone() == "" {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	switch {
	case err != nil:
		ps.Add(field, want, "%q is neither", text)
	case p.Addr().Is4In6():
		ps.Add(field, "write it as IPv4", "%v is an IPv4 address in IPv6", p.Addr())
	case p != p.Masked():
		ps.Add(field, "want "+p.Masked().String()+", or the single address", "%v has bits beyond its length", p)
	}
	return p
}

// addressesAndPort reads an address or a prefix that a port may follow; IPv6 then is in brackets.
func addressesAndPort(ps *intent.Problems, field, text string) (netip.Prefix, uint16) {
	at := strings.LastIndexByte(text, ':')
	alone, digits := text, ""
	switch {
	case strings.HasPrefix(text, "["):
		end := strings.IndexByte(text, ']')
		if end < 0 || end+1 != at && end+1 != len(text) {
			ps.Add(field, "want [2001:db8::1]:80 or [2001:db8::/32]:80", "%q: brackets", text)
			return netip.Prefix{}, 0
		}
		if alone = text[1:end]; end+1 == len(text) {
			return addresses(ps, field, alone), 0
		}
		digits = text[at+1:]
	case at >= 0 && strings.IndexByte(text, ':') == at:
		alone, digits = text[:at], text[at+1:]
	default:
		return addresses(ps, field, text), 0
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || port == 0 {
		ps.Add(field, "want a port from 1 to 65535, as in 192.0.2.1:80", "%q: port %q", text, digits)
	}
	return addresses(ps, field, alone), uint16(port)
}
