package contract

import (
	"net/netip"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// family is an address family and the hosts that the tests use in it.
type family struct {
	name string
	v4   bool
	// vips is a prefix that no link has; elsewhere one to which no route leads.
	vips, elsewhere netip.Prefix
	// at is the index of the family in Link.Addresses.
	at int
}

var (
	ipv4 = family{
		name: "ipv4", v4: true, at: 0,
		vips: netip.MustParsePrefix("192.0.2.0/24"), elsewhere: netip.MustParsePrefix("203.0.113.0/24"),
	}
	ipv6 = family{
		name: "ipv6", at: 1,
		vips: netip.MustParsePrefix("2001:db8::/64"), elsewhere: netip.MustParsePrefix("2001:db8:ffff::/64"),
	}
)

func families() []family { return []family{ipv4, ipv6} }

// familyOf returns the family of an address.
func familyOf(a netip.Addr) family {
	if a.Is4() {
		return ipv4
	}
	return ipv6
}

func protocols() []packet.Protocol { return []packet.Protocol{packet.TCP, packet.UDP} }

// unknown is the number of a host whose MAC address nobody knows.
const unknown = 200

// on returns the host of that number on a link.
func (f family) on(link string, host byte, port uint16) netip.AddrPort {
	for _, l := range Links() {
		if l.Name == link {
			return netip.AddrPortFrom(hostOf(l.Addresses[f.at], host), port)
		}
	}
	panic("contract: no link " + link)
}

// own returns our own address on a link.
func (f family) own(link string) netip.AddrPort {
	for _, l := range Links() {
		if l.Name == link {
			return netip.AddrPortFrom(l.Addresses[f.at].Addr(), 0)
		}
	}
	panic("contract: no link " + link)
}

// off returns a host to which no route leads.
func (f family) off(host byte, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(hostOf(f.elsewhere, host), port)
}

// vip returns the VIP of that number, port 80.
func (f family) vip(number byte, p packet.Protocol) lb.VIP {
	return lb.VIP{Address: netip.AddrPortFrom(hostOf(f.vips, number), 80), Protocol: p}
}

// service returns a valid service with the defaults.
func (f family) service(number byte, p packet.Protocol, replicas ...netip.AddrPort) lb.Service {
	s := lb.Service{VIP: f.vip(number, p)}
	for _, r := range replicas {
		s.Replicas = append(s.Replicas, lb.Replica{Address: r})
	}
	return s.WithDefaults()
}
