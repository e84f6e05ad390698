package datapath

import (
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// changes are what has changed in the network since next hops were resolved. The zero value is nothing.
type changes struct {
	// all: any route may have changed.
	all bool
	// routes are the destinations of those that changed, at most someRoutes of them.
	routes     []netip.Prefix
	neighbours map[neighbour]bool
}

// someRoutes is the number of routes from which on resolving every next hop costs no more.
const someRoutes = 16

// everything is the change that is assumed after messages were lost.
func everything() changes { return changes{all: true} }

// empty tells whether nothing has changed.
func (c *changes) empty() bool { return !c.all && len(c.routes) == 0 && len(c.neighbours) == 0 }

// mayRoute tells whether the route to an address may be another one.
func (c *changes) mayRoute(a netip.Addr) bool {
	return c.all || slices.ContainsFunc(c.routes, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (c *changes) neighbour(u netlink.NeighUpdate) {
	if c.neighbours == nil {
		c.neighbours = map[neighbour]bool{}
	}
	a, _ := netip.AddrFromSlice(u.IP)
	c.neighbours[neighbour{index: u.LinkIndex, address: a.Unmap()}] = true
}

// route notes the destination of a route. When one of our own addresses is removed, so are the routes that
// have it as their source; the kernel sends no message about those.
func (c *changes) route(u netlink.RouteUpdate) {
	if u.Dst == nil || u.Type == unix.RTM_DELROUTE && u.Route.Type == unix.RTN_LOCAL || len(c.routes) == someRoutes {
		c.all = true
		return
	}
	a, _ := netip.AddrFromSlice(u.Dst.IP)
	bits, _ := u.Dst.Mask.Size()
	c.routes = append(c.routes, netip.PrefixFrom(a.Unmap(), bits))
}

// port is what next hops depend on of a link. When it changes, routes come and go without a message.
type port struct {
	flags, state uint32
	mtu, master  int
	mac          string
}

// ports are the states of links, by index.
type ports map[int]port

func portOf(a *netlink.LinkAttrs) port {
	return port{flags: a.RawFlags, state: uint32(a.OperState), mtu: a.MTU, master: a.MasterIndex, mac: string(a.HardwareAddr)}
}

// link notes a link, unless nothing of it changed on which next hops depend: most messages about links are
// about their programs and statistics.
func (c *changes) link(u netlink.LinkUpdate, was ports) {
	if u.Link == nil {
		c.all = true
		return
	}
	a := u.Attrs()
	if u.Header.Type == unix.RTM_DELLINK {
		delete(was, a.Index)
		c.all = true
		return
	}
	if is := portOf(a); was[a.Index] != is {
		was[a.Index] = is
		c.all = true
	}
}
