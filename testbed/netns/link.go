package netns

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Link is a network interface in a namespace. Index and MAC are those it had when it was looked up.
type Link struct {
	namespace *Namespace
	Name      string
	Index     int
	MAC       net.HardwareAddr
	MTU       int
}

// Link looks an interface up by name.
func (n *Namespace) Link(name string) (Link, error) {
	l, err := n.handle.LinkByName(name)
	if err != nil {
		return Link{}, fmt.Errorf("find link %s in %s: %w", name, n.name, err)
	}
	a := l.Attrs()
	return Link{namespace: n, Name: a.Name, Index: a.Index, MAC: a.HardwareAddr, MTU: a.MTU}, nil
}

// Namespace returns where the link is.
func (l Link) Namespace() *Namespace { return l.namespace }

// Up sets the link up.
func (l Link) Up() error { return l.set("set up", l.namespace.handle.LinkSetUp) }

// Down sets the link down.
func (l Link) Down() error { return l.set("set down", l.namespace.handle.LinkSetDown) }

// SetMTU sets the largest packet, in bytes without the Ethernet header.
func (l Link) SetMTU(bytes int) error {
	return l.set("set mtu of", func(k netlink.Link) error { return l.namespace.handle.LinkSetMTU(k, bytes) })
}

// SetQueueLength sets how many packets wait for the driver. For a TAP it is also the size of
// the ring that its reader reads from.
func (l Link) SetQueueLength(packets int) error {
	return l.set("set queue length of", func(k netlink.Link) error {
		return l.namespace.handle.LinkSetTxQLen(k, packets)
	})
}

// SetMAC sets the Ethernet address.
func (l Link) SetMAC(mac net.HardwareAddr) error {
	return l.set("set mac of", func(k netlink.Link) error { return l.namespace.handle.LinkSetHardwareAddr(k, mac) })
}

func (l Link) set(what string, f func(netlink.Link) error) error {
	if err := f(&netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Name: l.Name, Index: l.Index}}); err != nil {
		return fmt.Errorf("%s link %s: %w", what, l.Name, err)
	}
	return nil
}

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
