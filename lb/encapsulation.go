package lb

import "net/netip"

// Encapsulation says what is around a packet in mode IPIP.
type Encapsulation uint8

const (
	// Plain is an IP header alone: RFC 2003, RFC 2473.
	Plain Encapsulation = iota
	// GUE is UDP in it, and the packet directly in UDP: variant 1 of Generic UDP Encapsulation. The source port differs
	// by flow, so that routers and the queues of the replica's NIC spread the flows.
	GUE
	// FOU is the same on the wire, by the name of Linux's receiver that is told by port what is inside: foo over UDP.
	FOU
)

// GUEPort is the port of GUE at IANA.
const GUEPort = 6080

// FirstTunnelSport is the least source port of outer UDP packets: 49152 to 65535, the dynamic ports (RFC 6335).
const FirstTunnelSport = 49152

func encapsulationNames() []string { return []string{"ipip", "gue", "fou"} }

// String returns "ipip", "gue", "fou", or "encapsulation-N".
func (e Encapsulation) String() string { return nameOf(e, "encapsulation", encapsulationNames()) }

// ParseEncapsulation reads "ipip", "gue" or "fou". Its error wraps ErrInvalid.
func ParseEncapsulation(name string) (Encapsulation, error) {
	return parseName[Encapsulation](name, "encapsulation", encapsulationNames())
}

// Overhead is the length of what mode IPIP puts around a packet to a replica.
func (s Service) Overhead(replica netip.Addr) int {
	bytes := 40
	if replica.Is4() {
		bytes = 20
	}
	if s.Encapsulation != Plain {
		bytes += 8
	}
	return bytes
}

// tunnelProblems finds what is wrong with the outer packets.
func (s Service) tunnelProblems(ps *Problems) {
	switch {
	case s.Encapsulation > FOU:
		ps.add("encapsulation", "want ipip, gue or fou", "%v is not known", s.Encapsulation)
	case s.Encapsulation != Plain && s.Mode != IPIP:
		ps.add("encapsulation", "leave it out, or set the mode ipip", "%v with mode %v, which encapsulates nothing", s.Encapsulation, s.Mode)
	case s.Encapsulation == Plain && s.TunnelPort != 0:
		ps.add("tunnel_port", "leave it out, or set the encapsulation gue or fou", "%d with the encapsulation %v, which has no ports", s.TunnelPort, s.Encapsulation)
	case s.Encapsulation != Plain && s.TunnelPort == 0:
		ps.add("tunnel_port", "want the port on which the replicas decapsulate, 1 to 65535", "no port with the encapsulation %v", s.Encapsulation)
	}
	if s.TunnelSources != (netip.Prefix{}) {
		s.sourcesProblems(ps)
	}
}

// notSources are the addresses that no outer packet may come from.
func notSources() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("224.0.0.0/3"),
		netip.MustParsePrefix("::/127"), netip.MustParsePrefix("::ffff:0:0/96"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff00::/8"),
	}
}

// sourcesProblems finds at most one problem of the range.
func (s Service) sourcesProblems(ps *Problems) {
	const field = "tunnel_sources"
	p := s.TunnelSources
	add := func(hint, reason string, args ...any) { ps.add(field, hint, reason, args...) }
	switch {
	case s.Mode != IPIP:
		add("leave it out, or set the mode ipip", "%v with mode %v, which encapsulates nothing", p, s.Mode)
		return
	case !p.IsValid():
		add("want a prefix that is routed to this host, 10.0.0.0/24 for instance", "no prefix")
		return
	case p != p.Masked():
		add("want "+p.Masked().String(), "%v has bits behind the prefix", p)
		return
	}
	for _, no := range notSources() {
		if no.Overlaps(p) {
			add("want unicast addresses that are routed to this host", "%v has addresses of %v, which no packet on a link may come from", p, no)
			return
		}
	}
	if vip := s.VIP.Address.Addr(); p.Contains(vip) {
		vipInSources(ps, field, p, s.VIP)
		return
	}
	for _, r := range s.Replicas {
		switch a := r.Address.Addr(); {
		case !a.IsValid():
		case a.Is4() != p.Addr().Is4():
			add("want a range of the address family of all replicas", "%v with the replica %v", p, a)
			return
		case p.Contains(a):
			add("want addresses that no replica has", "%v has the address of the replica %v", p, a)
			return
		}
	}
}

func vipInSources(ps *Problems, field string, p netip.Prefix, v VIP) {
	ps.add(field, "want addresses that no service has", "%v has the address of the service %v", p, v)
}

// vipsInSources returns, for each range of tunnel sources that has the address of a VIP, the first such VIP.
func vipsInSources(services []*Service) map[netip.Prefix]VIP {
	ranges, in := map[netip.Prefix]bool{}, map[netip.Prefix]VIP{}
	for _, s := range services {
		if s.TunnelSources.IsValid() {
			ranges[s.TunnelSources] = true
		}
	}
	for p := range ranges {
		for _, s := range services {
			if p.Contains(s.VIP.Address.Addr()) {
				in[p] = s.VIP
				break
			}
		}
	}
	return in
}

// SourcesText is TunnelSources as it is written, "" for none.
func (s Service) SourcesText() string {
	if s.TunnelSources == (netip.Prefix{}) {
		return ""
	}
	return s.TunnelSources.String()
}
