// Package netstate gathers the facts that package doctor judges, from the network namespace of the
// calling thread: by rtnetlink, the generic netlink families netdev and ethtool, /proc/sys and BPF. It
// reads only. What a caller without privileges may not see is missing in the facts, and
// is no error.
package netstate

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/lb/doctor"
	"lbctl/lb/nexthop"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Scope says what to gather facts about.
type Scope struct {
	// Interfaces are names, at least one.
	Interfaces []string
	OnReplica  bool
	// Mode is, on a replica, how packets are brought to it.
	Mode   lb.Mode
	Daemon doctor.Daemon
	// DecapDir is where the decapsulation program is pinned; empty: decap.DefaultDir.
	DecapDir string
	// Attached are the interfaces that the daemon says it is attached to.
	Attached []string
	VIPs     []Target
	Replicas []Target
	// Services, Tables and Limits are known from the daemon.
	Services []lb.Service
	Tables   []doctor.Table
	Limits   []doctor.Limit
}

// Target is an address and the mode of the service that it belongs to, and whether packets are encapsulated in UDP.
type Target struct {
	Address netip.Addr
	Mode    lb.Mode
	UDP     bool
}

// Gather returns the facts. Errors: lb.ErrNotFound when an interface does not exist, lb.ErrDenied
// when the kernel does not let the caller ask.
func Gather(q Scope) (doctor.Facts, error) {
	f := doctor.Facts{OnReplica: q.OnReplica, Mode: q.Mode, Daemon: q.Daemon, Host: host(), Services: q.Services, Tables: q.Tables, Limits: q.Limits}
	v, err := newSnapshot(q)
	if err != nil {
		return f, err
	}
	for _, name := range distinct(q.Interfaces) {
		i, err := v.named(name)
		if err != nil {
			return f, err
		}
		if q.OnReplica {
			i.Decapsulation = v.decapsulation(i)
		}
		f.Interfaces = append(f.Interfaces, i)
	}
	network, err := nexthop.Open()
	if err != nil {
		return f, err
	}
	defer network.Close()
	v.routes = network.Gather(v.ingresses()...)
	for _, t := range distinct(q.VIPs) {
		f.VIPs = append(f.VIPs, v.vip(t, f.Interfaces))
	}
	for _, t := range distinct(q.Replicas) {
		r := doctor.Replica{Address: t.Address, Mode: t.Mode, UDP: t.UDP, Route: v.route(t.Address)}
		f.Replicas = append(f.Replicas, r)
		f.Interfaces = v.transit(f.Interfaces, r.Route.Interface)
	}
	f.Tunnels, f.Default4, f.Default6 = v.tunnels(), v.defaultRoute(unix.AF_INET), v.defaultRoute(unix.AF_INET6)
	f.Sysctl = sysctls(f)
	return f, nil
}

// distinct returns the values once each, in order.
func distinct[T comparable](all []T) []T {
	var once []T
	for _, v := range all {
		if !slices.Contains(once, v) {
			once = append(once, v)
		}
	}
	return once
}

// snapshot is the namespace as one call of Gather sees it.
type snapshot struct {
	scope     Scope
	links     []netlink.Link
	addresses []netlink.Addr
	routes    nexthop.State
}

func newSnapshot(q Scope) (*snapshot, error) {
	links, err := whole(netlink.LinkList())
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", lb.Denied(err))
	}
	addresses, err := whole(netlink.AddrList(nil, unix.AF_UNSPEC))
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", lb.Denied(err))
	}
	return &snapshot{scope: q, links: links, addresses: addresses}, nil
}

// ingresses are the interfaces on which packets come in.
func (v *snapshot) ingresses() (all []int) {
	for _, l := range v.links {
		if name := l.Attrs().Name; slices.Contains(v.scope.Interfaces, name) || slices.Contains(v.scope.Attached, name) {
			all = append(all, l.Attrs().Index)
		}
	}
	return all
}

// whole accepts a list that may miss a change made while it was read: the next call of Gather sees the change.
func whole[T any](list []T, err error) ([]T, error) {
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		return list, nil
	}
	return list, err
}

// link returns an interface by its number in this namespace, nil if there is none.
func (v *snapshot) link(index int) netlink.Link {
	at := slices.IndexFunc(v.links, func(l netlink.Link) bool { return l.Attrs().Index == index })
	if at < 0 {
		return nil
	}
	return v.links[at]
}

// name returns an interface's name, empty if there is none.
func (v *snapshot) name(index int) string {
	if l := v.link(index); l != nil {
		return l.Attrs().Name
	}
	return ""
}

// prefix returns an address with its network.
func prefix(a netlink.Addr) netip.Prefix {
	address, _ := netip.AddrFromSlice(a.IP)
	ones, _ := a.Mask.Size()
	return netip.PrefixFrom(address.Unmap(), ones)
}

// vip finds where a VIP is: on an interface here, or in the network of one of those asked about.
func (v *snapshot) vip(t Target, named []doctor.Interface) doctor.VIP {
	found := doctor.VIP{Address: t.Address, Mode: t.Mode}
	for _, a := range v.addresses {
		at := prefix(a)
		if at.Addr() == t.Address {
			found.Held = append(found.Held, doctor.Held{Interface: v.name(a.LinkIndex), Prefix: at})
		}
		for _, i := range named {
			if i.Index == a.LinkIndex && at.Contains(t.Address) {
				found.OnLink = i.Name
			}
		}
	}
	// A route of type local makes addresses this machine's that no interface has.
	if routes, err := netlink.RouteGet(t.Address.AsSlice()); len(found.Held) == 0 && err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL {
		found.Held = []doctor.Held{{Interface: v.name(routes[0].LinkIndex), Prefix: netip.PrefixFrom(t.Address, t.Address.BitLen())}}
	}
	return found
}

// tunnels returns the kernel's tunnels that decapsulate IP in IP.
func (v *snapshot) tunnels() []doctor.Tunnel {
	var all []doctor.Tunnel
	for _, l := range v.links {
		if kind := l.Type(); kind == "ipip" || kind == "ip6tnl" {
			all = append(all, doctor.Tunnel{Name: l.Attrs().Name, Kind: kind, Up: l.Attrs().RawFlags&unix.IFF_UP != 0})
		}
	}
	return all
}

// route asks the kernel how it reaches an address, as the datapath does.
func (v *snapshot) route(to netip.Addr) doctor.Route {
	routes := v.routes.Routes(to)
	if len(routes) == 0 {
		return doctor.Route{}
	}
	r := routes[0].Route
	l := v.link(r.LinkIndex)
	switch {
	case r.Type == unix.RTN_LOCAL:
		return doctor.Route{Kind: doctor.Local}
	case r.Type != unix.RTN_UNICAST || l == nil:
		return doctor.Route{}
	}
	w := doctor.Route{Kind: doctor.Routed, Interface: l.Attrs().Name, MTU: l.Attrs().MTU, Gateway: address(r.Gw), Source: address(r.Src), Differs: v.routes.Differing(to)}
	if r.MTU > 0 {
		w.MTU = min(w.MTU, r.MTU)
	}
	next := to
	if w.Gateway.IsValid() {
		next = w.Gateway
	}
	w.Neighbour = neighbour(r.LinkIndex, next)
	return w
}

// address is the zero value for no bytes.
func address(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a.Unmap()
}

// states are the names of a neighbour's states (NUD_* of include/uapi/linux/neighbour.h).
func states() map[int]string {
	return map[int]string{
		netlink.NUD_NONE: "none", netlink.NUD_INCOMPLETE: "incomplete", netlink.NUD_REACHABLE: "reachable", netlink.NUD_STALE: "stale",
		netlink.NUD_DELAY: "delay", netlink.NUD_PROBE: "probe", netlink.NUD_FAILED: "failed", netlink.NUD_NOARP: "noarp", netlink.NUD_PERMANENT: "permanent",
	}
}

// neighbour returns the state of an address on a link, empty if the kernel has no entry.
func neighbour(index int, a netip.Addr) string {
	family := unix.AF_INET
	if a.Is6() {
		family = unix.AF_INET6
	}
	all, _ := netlink.NeighList(index, family) // an error is a link that has gone
	for _, n := range all {
		if address(n.IP) == a {
			return states()[n.State]
		}
	}
	return ""
}

// defaultRoute returns the default route of a family with the best metric.
func (v *snapshot) defaultRoute(family int) doctor.Default {
	routes, _ := whole(netlink.RouteList(nil, family))
	var best *netlink.Route
	for i, r := range routes {
		ones := -1
		if r.Dst != nil {
			ones, _ = r.Dst.Mask.Size()
		}
		if ones <= 0 && r.LinkIndex > 0 && (best == nil || r.Priority < best.Priority) {
			best = &routes[i]
		}
	}
	if best == nil {
		return doctor.Default{}
	}
	return doctor.Default{Interface: v.name(best.LinkIndex), Gateway: address(best.Gw), AdvMSS: best.AdvMSS, MTU: best.MTU}
}
