package datapath

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"runtime"

	"lbctl/bpf"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// hops asks the kernel for the way to an address: route, link, neighbour. Its
// sockets belong to one network namespace, whichever thread uses them.
type hops struct {
	namespace netns.NsHandle
	netlink   *netlink.Handle
}

func newHops() (*hops, error) {
	ns, err := netns.Get()
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open netlink: %w", err), ns.Close())
	}
	return &hops{namespace: ns, netlink: h}, nil
}

func (h *hops) close() {
	h.netlink.Close()
	h.namespace.Close()
}

// inside runs f on a thread that is in the namespace.
func (h *hops) inside(f func() error) error {
	runtime.LockOSThread()
	here, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open network namespace: %w", err)
	}
	defer here.Close()
	if here.Equal(h.namespace) {
		defer runtime.UnlockOSThread()
		return f()
	}
	if err := netns.Set(h.namespace); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace: %w", err)
	}
	err = f()
	if back := netns.Set(here); back != nil {
		return errors.Join(err, back) // still locked: the thread ends with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// neighbour is what a next hop depends on besides routes and links.
type neighbour struct {
	index   int
	address netip.Addr
}

// resolve returns the way to an address as the tables hold it and the neighbour
// it goes by. Without a route the state is HOP_NONE; where the neighbour's MAC is not known it is
// HOP_UNRESOLVED, and the kernel has been asked to find it and keep it fresh.
func (h *hops) resolve(a netip.Addr) (bpf.LbHop, neighbour) {
	routes, err := h.netlink.RouteGet(a.AsSlice())
	if err != nil || len(routes) == 0 || routes[0].Type != unix.RTN_UNICAST {
		return bpf.LbHop{}, neighbour{}
	}
	route := routes[0]
	device, err := h.netlink.LinkByIndex(route.LinkIndex)
	if err != nil {
		return bpf.LbHop{}, neighbour{}
	}
	n := neighbour{index: route.LinkIndex, address: a}
	if gateway, ok := netip.AddrFromSlice(route.Gw); ok {
		n.address = gateway.Unmap()
	}
	return h.fill(device.Attrs(), route.MTU, n), n
}

func (h *hops) fill(device *netlink.LinkAttrs, routeMTU int, n neighbour) bpf.LbHop {
	hop := bpf.LbHop{State: uint8(bpf.LbHopStateHOP_UNRESOLVED), Ifindex: uint32(device.Index), Mtu: mtu(device.MTU, routeMTU)}
	if len(device.HardwareAddr) != len(hop.Source) {
		return bpf.LbHop{} // not Ethernet: no way for frames
	}
	copy(hop.Source[:], device.HardwareAddr)
	if mac := h.lookup(n); len(mac) == len(hop.Destination) {
		copy(hop.Destination[:], mac)
		hop.State = uint8(bpf.LbHopStateHOP_RESOLVED)
	}
	return hop
}

func mtu(link, route int) uint16 {
	if route > 0 {
		link = min(link, route)
	}
	return uint16(min(link, math.MaxUint16))
}

// usable are the states of a neighbour whose MAC the kernel itself would use (NUD_VALID).
const usable = netlink.NUD_PERMANENT | netlink.NUD_NOARP | netlink.NUD_REACHABLE |
	netlink.NUD_PROBE | netlink.NUD_STALE | netlink.NUD_DELAY

// lookup returns the neighbour's MAC, nil if it is not known. A neighbour that the
// kernel does not keep by itself it is asked to.
func (h *hops) lookup(n neighbour) net.HardwareAddr {
	known, err := h.netlink.NeighList(n.index, family(n.address))
	if err != nil {
		return nil
	}
	for _, k := range known {
		if a, _ := netip.AddrFromSlice(k.IP); a.Unmap() != n.address {
			continue
		}
		if k.State&netlink.NUD_PERMANENT == 0 && k.FlagsExt&netlink.NTF_EXT_MANAGED == 0 {
			h.manage(n)
		}
		if k.State&usable != 0 {
			return k.HardwareAddr
		}
		return nil
	}
	h.manage(n)
	return nil
}

// manage asks the kernel (5.16 and later) to resolve a neighbour and to keep it
// so although no packet of its own goes there. Older ones refuse; there the first packets do it.
func (h *hops) manage(n neighbour) {
	_ = h.netlink.NeighSet(&netlink.Neigh{
		LinkIndex: n.index,
		Family:    family(n.address),
		IP:        n.address.AsSlice(),
		State:     netlink.NUD_NONE,
		FlagsExt:  netlink.NTF_EXT_MANAGED,
	})
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
