package netns

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// AddAddress gives the link an address with the prefix of its network.
func (l Link) AddAddress(p netip.Prefix) error {
	a := &netlink.Addr{IPNet: ipNet(p)}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return l.set("add address "+p.String()+" to", func(k netlink.Link) error {
		return l.namespace.handle.AddrAdd(k, a)
	})
}

// AddNeighbour fixes the Ethernet address of a neighbour on the link, so that no
// ARP or neighbour discovery is needed for it.
func (l Link) AddNeighbour(a netip.Addr, mac net.HardwareAddr) error {
	n := &netlink.Neigh{
		LinkIndex: l.Index, State: netlink.NUD_PERMANENT,
		IP: a.AsSlice(), HardwareAddr: mac,
	}
	if err := l.namespace.handle.NeighSet(n); err != nil {
		return fmt.Errorf("add neighbour %v to link %s: %w", a, l.Name, err)
	}
	return nil
}

// AddRoute sends packets for a network over the link to a gateway, or, if the
// gateway is the zero Addr, directly.
func (l Link) AddRoute(to netip.Prefix, gateway netip.Addr) error {
	r := &netlink.Route{LinkIndex: l.Index, Dst: ipNet(to.Masked()), Gw: gateway.AsSlice()}
	if !gateway.IsValid() {
		r.Scope = netlink.SCOPE_LINK
	}
	if err := l.namespace.handle.RouteAdd(r); err != nil {
		return fmt.Errorf("add route to %v over link %s: %w", to, l.Name, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
