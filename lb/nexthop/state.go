package nexthop

import (
	"errors"
	"math"
	"net"
	"net/netip"
	"slices"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/tables"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Neighbour is the host to which packets are sent on a link: the destination itself or a gateway.
type Neighbour struct {
	// Link is the index of the interface.
	Link    int
	Address netip.Addr
}

// Resolver finds next hops, and the neighbour that each goes by.
type Resolver interface {
	// Prepare says which addresses are asked about next, so that the kernel is asked for the routes to all of them at once.
	Prepare([]netip.Addr)
	Resolve(netip.Addr) (tables.Hop, Neighbour)
	// Differing says how packets should go that come in on different interfaces, "" if all go the same way.
	Differing(netip.Addr) string
	// Unfit returns at which of some addresses no host can be reached, whatever routes there are, and why.
	Unfit([]netip.Addr) map[netip.Addr]string
}

// State is the network as one operation sees it: links and neighbours are asked for once and kept. It is not safe
// for concurrent use.
type State struct {
	network    *Network
	links      map[int]*netlink.LinkAttrs
	neighbours map[int]map[netip.Addr]netlink.Neigh // by interface
	arrivals   arrivals
}

// Gather begins an operation. The interfaces, by index, are those on which packets come in.
func (n *Network) Gather(ingresses ...int) State {
	return State{
		network: n, links: map[int]*netlink.LinkAttrs{}, neighbours: map[int]map[netip.Addr]netlink.Neigh{},
		arrivals: arrivals{indexes: slices.Sorted(slices.Values(ingresses)), byRule: map[int]bool{}, sources: map[int][]netip.Addr{}, latest: &answers{}, prepared: map[netip.Addr][]Answer{}, read: &read{}},
	}
}

// Resolve returns the next hop towards a replica. Without a route its state is HOP_NONE. Where the neighbour's MAC address
// is not known it is HOP_UNRESOLVED, and the kernel has been asked to find it and to keep it up to date. Where routes differ by
// the ingress (Routes), it is the first one's.
func (s State) Resolve(a netip.Addr) (tables.Hop, Neighbour) {
	all := s.Routes(a)
	if len(all) == 0 {
		return tables.Hop{}, Neighbour{}
	}
	return s.along(&all[0].Route, a)
}

// ResolveFor returns the next hop towards an address of a packet of an arrival.
func (s State) ResolveFor(a netip.Addr, of Arrival) (tables.Hop, Neighbour) {
	routes, err := s.ask(a, of)
	if err != nil || len(routes) == 0 {
		return tables.Hop{}, Neighbour{}
	}
	return s.along(&routes[0], a)
}

// along returns the next hop of a route to an address.
func (s State) along(route *netlink.Route, a netip.Addr) (tables.Hop, Neighbour) {
	device := s.Link(route.LinkIndex)
	if route.Type != unix.RTN_UNICAST || device == nil {
		return tables.Hop{}, Neighbour{}
	}
	n := Neighbour{Link: route.LinkIndex, Address: a}
	if gateway, ok := netip.AddrFromSlice(route.Gw); ok {
		n.Address = gateway.Unmap()
	}
	next := tables.Hop{LbHop: s.hop(device, route.MTU, n)}
	if source, ok := netip.AddrFromSlice(route.Src); ok {
		next.Tunnel = bpf.Address(source.Unmap())
	}
	return next, n
}

// Refuses reports whether the route to an address is of the type unreachable, prohibit or blackhole.
func (s State) Refuses(a netip.Addr, of Arrival) bool {
	_, err := s.ask(a, of)
	return errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EINVAL)
}

// Link returns an interface, nil if there is none.
func (s State) Link(index int) *netlink.LinkAttrs {
	if device, ok := s.links[index]; ok {
		return device
	}
	var attributes *netlink.LinkAttrs
	if device, err := s.network.netlink.LinkByIndex(index); err == nil {
		attributes = device.Attrs()
	}
	s.links[index] = attributes
	return attributes
}

func (s State) hop(device *netlink.LinkAttrs, routeMTU int, n Neighbour) bpf.LbHop {
	hop := bpf.LbHop{State: uint8(bpf.LbHopStateHOP_UNRESOLVED), Ifindex: uint32(device.Index), Mtu: mtu(device.MTU, routeMTU)}
	if len(device.HardwareAddr) != len(hop.Source) {
		return bpf.LbHop{} // not Ethernet: frames cannot leave by it
	}
	copy(hop.Source[:], device.HardwareAddr)
	if mac := s.mac(n); len(mac) == len(hop.Destination) {
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

// mac returns the MAC address of a neighbour, nil if it is not known. It asks the kernel to keep a neighbour
// that it would not keep by itself.
func (s State) mac(n Neighbour) net.HardwareAddr {
	all := s.known(n.Link)
	known, ok := all[n.Address]
	if !ok || known.State&netlink.NUD_PERMANENT == 0 && known.FlagsExt&netlink.NTF_EXT_MANAGED == 0 {
		s.network.manage(n)
		known.FlagsExt |= netlink.NTF_EXT_MANAGED // asked once
		all[n.Address] = known
	}
	if known.State&usable == 0 {
		return nil
	}
	return known.HardwareAddr
}

// Agrees reports whether a hop has its neighbour's present MAC address.
func (s State) Agrees(hop tables.Hop, n Neighbour) bool {
	mac := s.mac(n)
	if len(mac) != len(hop.Destination) {
		return hop.State == uint8(bpf.LbHopStateHOP_UNRESOLVED)
	}
	return hop.State == uint8(bpf.LbHopStateHOP_RESOLVED) && slices.Equal(hop.Destination[:], mac)
}

// Neighbour returns what the kernel knows of a neighbour. It asks for nothing.
func (s State) Neighbour(n Neighbour) lb.NeighbourState {
	known, there := s.known(n.Link)[n.Address]
	if !there {
		return ""
	}
	return neighbourStates[known.State]
}

// neighbourStates are the kernel's numbers of them.
var neighbourStates = map[int]lb.NeighbourState{
	netlink.NUD_INCOMPLETE: lb.NeighbourIncomplete, netlink.NUD_REACHABLE: lb.NeighbourReachable, netlink.NUD_STALE: lb.NeighbourStale,
	netlink.NUD_DELAY: lb.NeighbourDelay, netlink.NUD_PROBE: lb.NeighbourProbe, netlink.NUD_FAILED: lb.NeighbourFailed,
	netlink.NUD_NOARP: lb.NeighbourNoARP, netlink.NUD_PERMANENT: lb.NeighbourPermanent,
}

// known returns the neighbours on a link, of both families.
func (s State) known(index int) map[netip.Addr]netlink.Neigh {
	if all, ok := s.neighbours[index]; ok {
		return all
	}
	all := map[netip.Addr]netlink.Neigh{}
	listed, _ := s.network.netlink.NeighList(index, unix.AF_UNSPEC) // an error is a link that has gone
	for _, n := range listed {
		if a, ok := netip.AddrFromSlice(n.IP); ok {
			all[a.Unmap()] = n
		}
	}
	s.neighbours[index] = all
	return all
}

// manage asks the kernel to resolve a neighbour and to keep it resolved although the kernel itself sends nothing
// there. Linux before 5.16 does not know the flag and destroys the entry instead, which is one reason why those
// kernels are refused (bpf/load).
func (n *Network) manage(to Neighbour) {
	_ = n.netlink.NeighSet(&netlink.Neigh{
		LinkIndex: to.Link,
		Family:    family(to.Address),
		IP:        to.Address.AsSlice(),
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
