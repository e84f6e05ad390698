package netstate

import (
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"lbctl/lb/doctor"
)

// way asks the kernel how it reaches an address.
func (v *view) way(to netip.Addr) doctor.Way {
	routes, err := netlink.RouteGet(to.AsSlice())
	if err != nil || len(routes) == 0 {
		return doctor.Way{}
	}
	r := routes[0]
	l := v.link(r.LinkIndex)
	switch {
	case r.Type == unix.RTN_LOCAL:
		return doctor.Way{Kind: doctor.Local}
	case r.Type != unix.RTN_UNICAST || l == nil:
		return doctor.Way{}
	}
	w := doctor.Way{Kind: doctor.Routed, Interface: l.Attrs().Name, MTU: l.Attrs().MTU, Gateway: address(r.Gw), Source: address(r.Src)}
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
func (v *view) defaultRoute(family int) doctor.Default {
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
	return doctor.Default{Interface: v.name(best.LinkIndex), Gateway: address(best.Gw), AdvMSS: best.AdvMSS}
}
