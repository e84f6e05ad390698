package contract

import (
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// Link is a network interface of the datapath under test. Forwarding is on; there are no
// routes but those of the links, no default route among them.
type Link struct {
	Name string
	MAC  lb.MAC
	// MTU is the greatest IP packet in bytes.
	MTU int
	// Addresses are its own, one of each family, with the length of the prefix.
	Addresses []netip.Prefix
}

// The names of the links. Clients are on East, replicas on West; Narrow has a small MTU.
const (
	East   = "east"
	West   = "west"
	Narrow = "narrow"
)

// Links returns the links.
func Links() []Link { return slices.Clone(links) }

var links = []Link{
	newLink(1, East, 1500, "198.51.100.254/24", "2001:db8:1::fe/64"),
	newLink(2, West, 1500, "10.0.0.254/24", "2001:db8:2::fe/64"),
	newLink(3, Narrow, 1280, "10.0.1.254/24", "2001:db8:3::fe/64"),
}

func newLink(number byte, name string, mtu int, v4, v6 string) Link {
	return Link{
		Name: name, MTU: mtu, MAC: lb.MAC{2, 0, 0, 0, number, 0xfe},
		Addresses: []netip.Prefix{netip.MustParsePrefix(v4), netip.MustParsePrefix(v6)},
	}
}

// Neighbour is a host whose MAC address is known, permanently.
type Neighbour struct {
	Link    string
	Address netip.Addr
	MAC     lb.MAC
}

// neighboursPerPrefix are known in the prefix of every link: the hosts 1 to 16.
const neighboursPerPrefix = 16

// Neighbours returns the hosts that are known. No other host ever answers.
func Neighbours() []Neighbour {
	var all []Neighbour
	for _, l := range Links() {
		for _, p := range l.Addresses {
			for host := range byte(neighboursPerPrefix) {
				all = append(all, Neighbour{l.Name, hostOf(p, host+1), macOf(l, host+1)})
			}
		}
	}
	return all
}

// hostOf returns the host of that number in a prefix.
func hostOf(p netip.Prefix, host byte) netip.Addr {
	bytes := p.Addr().AsSlice()
	bytes[len(bytes)-1] = host
	a, _ := netip.AddrFromSlice(bytes)
	return a
}

func macOf(l Link, host byte) lb.MAC { return lb.MAC{2, 0, 1, 0, l.MAC[4], host} }

// Routes returns the routes of this network for an oracle.Datapath; links have the indexes of
// Indexes.
func Routes() oracle.Routes {
	r := routes{links: Links(), neighbours: map[netip.Addr]lb.MAC{}}
	for _, n := range Neighbours() {
		r.neighbours[n.Address] = n.MAC
	}
	return r
}

// Indexes returns the index of each link for an oracle.Datapath: 1 and up, in the order of Links.
func Indexes() map[string]int {
	indexes := make(map[string]int)
	for i, l := range Links() {
		indexes[l.Name] = i + 1
	}
	return indexes
}

// Unfit returns the addresses in the prefixes of the links that no replica can have, for an oracle.Datapath.
func Unfit() map[netip.Addr]string {
	all := map[netip.Addr]string{}
	for _, l := range Links() {
		for _, p := range l.Addresses {
			for host := range 256 {
				if a := hostOf(p, byte(host)); reserved(p, a) {
					all[a] = "an address of " + l.Name + " itself, or of all hosts there"
				}
			}
		}
	}
	return all
}

// MTUs returns the MTU of each link, by index, for an oracle.Datapath.
func MTUs() map[int]int {
	mtus := make(map[int]int)
	for i, l := range Links() {
		mtus[i+1] = l.MTU
	}
	return mtus
}

type routes struct {
	links      []Link
	neighbours map[netip.Addr]lb.MAC
}

// Route implements oracle.Routes.
func (r routes) Route(destination netip.Addr) (oracle.Route, bool) {
	for i, l := range r.links {
		for _, p := range l.Addresses {
			if !p.Contains(destination) || reserved(p, destination) {
				continue
			}
			return oracle.Route{
				Interface: l.Name, Index: i + 1, MTU: l.MTU, Source: l.MAC,
				Neighbour: r.neighbours[destination], Preferred: p.Addr(),
			}, true
		}
	}
	return oracle.Route{}, false
}

// reserved selects the addresses of a link's prefix to which nothing is forwarded: its own; IPv4's broadcast
// address; IPv6's anycast address of all routers, host 0 (RFC 4291, section 2.6.1). Since Linux 5.14, IPv4's
// host 0 is a host like others.
func reserved(link netip.Prefix, a netip.Addr) bool {
	if a.Is4() {
		return a == link.Addr() || a == hostOf(link, 255)
	}
	return a == link.Addr() || a == link.Masked().Addr()
}

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

// unknown is the number of a host whose MAC address is not known.
const unknown = 200

// on returns the host of that number on a link.
func (f family) on(link string, host byte, port uint16) netip.AddrPort {
	for _, l := range links {
		if l.Name == link {
			return netip.AddrPortFrom(hostOf(l.Addresses[f.at], host), port)
		}
	}
	panic("contract: no link " + link)
}

// own returns our own address on a link.
func (f family) own(link string) netip.AddrPort {
	for _, l := range links {
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
