package doctor

import (
	"fmt"
	"net/netip"
	"strings"

	"lbctl/lb"
)

// Facts are a network namespace as it was seen, and what the balancer is to do there.
type Facts struct {
	// OnReplica is true on a machine that serves, false on the one that balances.
	OnReplica bool
	// Mode is, on a replica, how packets are brought to it.
	Mode lb.Mode
	// Daemon says whether a running daemon told of services.
	Daemon Daemon
	Host   Host
	// Interfaces are those asked about, then those that lead to replicas.
	Interfaces []Interface
	VIPs       []VIP
	Replicas   []Replica
	// Services are those of a daemon; flags name addresses only.
	Services []lb.Service
	// Tables and Limits are those of a daemon.
	Tables []Table
	Limits []Limit
	Sysctl Sysctls
	// Tunnels are the kernel's own that decapsulate IP in IP.
	Tunnels []Tunnel
	// Default4 and Default6 are the default routes; the zero value if there is none.
	Default4, Default6 Default
}

// Daemon says how a daemon was found.
type Daemon uint8

const (
	// NoDaemon answers.
	NoDaemon Daemon = iota
	// DaemonDenied: there is one, whose socket the caller may not use.
	DaemonDenied
	// DaemonAnswers and told of its services and interfaces.
	DaemonAnswers
)

// Host is the machine.
type Host struct {
	// Release is the kernel's, as uname -r has it.
	Release string
	// Page is the size of a memory page in bytes.
	Page int
	CPUs int
	// BPFFS is whether the BPF file system is mounted at its usual place.
	BPFFS bool
	// OwnMounts is whether the BPF file system is, or would be, one that process 1 does not see; false where that may
	// not be known.
	OwnMounts bool
	// Missing are the capabilities that the balancer needs and the caller lacks.
	Missing []string
}

// VIP is a virtual address of a service.
type VIP struct {
	Address netip.Addr
	Mode    lb.Mode
	// Held are the addresses of this namespace that are the VIP.
	Held []Held
	// OnLink is the interface whose network the VIP is in; empty if it is behind a router or nowhere.
	OnLink string
}

// Held is an address on an interface.
type Held struct {
	Interface string
	Prefix    netip.Prefix
}

// Tunnel is a tunnel device of the kernel's.
type Tunnel struct {
	Name string
	// Kind is "ipip" or "ip6tnl".
	Kind string
	Up   bool
}

// Default is a default route.
type Default struct {
	Interface string
	Gateway   netip.Addr
	// AdvMSS is the largest TCP segment that is announced on it, in bytes; 0: by the MTU.
	AdvMSS int
	// MTU is the route's own, 0 if it has none.
	MTU int
}

// servicesKnown reports whether anything is known of what is balanced.
func (f Facts) servicesKnown() bool { return len(f.VIPs)+len(f.Replicas) > 0 }

// has reports whether a service of that mode and address family is known: of an IPv4 or an IPv6 VIP, or, where VIPs
// are not known, replica.
func (f Facts) has(mode lb.Mode, v6 bool) bool {
	for _, v := range f.VIPs {
		if v.Mode == mode && v.Address.Is6() == v6 {
			return true
		}
	}
	for _, r := range f.Replicas {
		if r.Mode == mode && r.Address.Is6() == v6 {
			return true
		}
	}
	return false
}

// on returns an interface by name.
func (f Facts) on(name string) (Interface, bool) {
	for _, i := range f.Interfaces {
		if i.Name == name {
			return i, true
		}
	}
	return Interface{}, false
}

// Replica is a server behind the balancer and the route to it.
type Replica struct {
	Address netip.Addr
	Mode    lb.Mode
	// UDP is put around packets, too.
	UDP   bool
	Route Route
}

// Route is how this namespace reaches an address. The zero value: not at all.
type Route struct {
	Kind RouteKind
	// Interface is the one that packets leave by.
	Interface string
	// Gateway is the router; invalid if the address is on the link itself.
	Gateway netip.Addr
	// Source is the address that this namespace would send from.
	Source netip.Addr
	// MTU is the route's or, if that has none, the interface's; in bytes.
	MTU int
	// Differs says how packets should go by the interface that they come in on, where rules (ip rule) have them go differently.
	Differs string
	// Neighbour is the state of the next hop: "reachable", "failed", ...; empty if nobody asked for it.
	Neighbour string
}

// RouteKind says what the routing table does with packets to an address.
type RouteKind uint8

const (
	// Nowhere: there is no route, or one that refuses.
	Nowhere RouteKind = iota
	// Routed: they leave by an interface.
	Routed
	// Local: it is an address of this namespace.
	Local
)

// next is the address whose MAC frames to the replica carry.
func (r Replica) next() netip.Addr {
	if r.Route.Gateway.IsValid() {
		return r.Route.Gateway
	}
	return r.Address
}

// overhead is how much longer packets become by encapsulation, in bytes (RFC 2003, RFC 2473, RFC 768).
func (r Replica) overhead() int {
	if r.Mode != lb.IPIP {
		return 0
	}
	s := lb.Service{}
	if r.UDP {
		s.Encapsulation = lb.GUE
	}
	return s.Overhead(r.Address)
}

// Sysctls are kernel parameters by their path below /proc/sys. One that is not there could not be read.
type Sysctls map[string]int

// Conf names a parameter of an interface, or of "all".
func Conf(family, name, leaf string) string { return "net/" + family + "/conf/" + name + "/" + leaf }

// either returns the larger of the values of "all" and of an interface, which is what counts
// for most (IN_DEV_MAXCONF of include/linux/inetdevice.h).
func (s Sysctls) either(name, leaf string) (value int, known bool) {
	all, ok1 := s[Conf("ipv4", "all", leaf)]
	own, ok2 := s[Conf("ipv4", name, leaf)]
	return max(all, own), ok1 && ok2
}

// set is the command that sets parameters.
func set(value int, keys ...string) string {
	text := "sysctl -w"
	for _, k := range keys {
		text += fmt.Sprintf(" %s=%d", dotted(k), value)
	}
	return text
}

// dotted is a parameter's name as people write it. A dot in an interface's name forbids that.
func dotted(key string) string {
	if strings.Contains(key, ".") {
		return key
	}
	return strings.ReplaceAll(key, "/", ".")
}
