package nexthop

import (
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Changes are what has changed in the network since next hops were resolved. The zero value is nothing.
type Changes struct {
	// all: any route may have changed.
	all bool
	// routes are the destinations of those that changed, at most someRoutes of them.
	routes     []netip.Prefix
	neighbours map[Neighbour]bool
}

// someRoutes is the number of routes from which on resolving every next hop costs no more.
const someRoutes = 16

// Everything is the change that is assumed after messages were lost.
func Everything() Changes { return Changes{all: true} }

// empty reports whether nothing has changed.
func (c *Changes) empty() bool { return c.OnlyNeighbours() && len(c.neighbours) == 0 }

// Routes reports whether the route to an address may have changed.
func (c *Changes) Routes(a netip.Addr) bool {
	return c.all || slices.ContainsFunc(c.routes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// OnlyNeighbours reports whether no route may have changed.
func (c *Changes) OnlyNeighbours() bool { return !c.all && len(c.routes) == 0 }

// Has reports whether a neighbour has changed.
func (c *Changes) Has(n Neighbour) bool { return c.neighbours[n] }

func (c *Changes) addNeighbour(u netlink.NeighUpdate) {
	if c.neighbours == nil {
		c.neighbours = map[Neighbour]bool{}
	}
	a, _ := netip.AddrFromSlice(u.IP)
	c.neighbours[Neighbour{Link: u.LinkIndex, Address: a.Unmap()}] = true
}

// addRoute notes the destination of a route. When one of our own addresses is removed, so are the routes that
// have it as their source; the kernel sends no message about those.
func (c *Changes) addRoute(u netlink.RouteUpdate) {
	if u.Dst == nil || u.Type == unix.RTM_DELROUTE && u.Route.Type == unix.RTN_LOCAL || len(c.routes) == someRoutes {
		c.all = true
		return
	}
	a, _ := netip.AddrFromSlice(u.Dst.IP)
	bits, _ := u.Dst.Mask.Size()
	c.routes = append(c.routes, netip.PrefixFrom(a.Unmap(), bits))
}

// port is the state of a link on which next hops depend, and its name. When it changes, routes come and go without
// a message.
type port struct {
	flags, state uint32
	mtu, master  int
	mac, name    string
}

// ports are the states of links, by index.
type ports map[int]port

func portOf(a *netlink.LinkAttrs) port {
	return port{flags: a.RawFlags, state: uint32(a.OperState), mtu: a.MTU, master: a.MasterIndex, mac: string(a.HardwareAddr), name: a.Name}
}

// addLink notes a link, unless nothing of it changed on which next hops depend: most messages about links are
// about their programs and statistics. It reports whether a link that is known has changed.
func (c *Changes) addLink(u netlink.LinkUpdate, was ports) bool {
	if u.Link == nil {
		c.all = true
		return false
	}
	a := u.Attrs()
	if u.Header.Type == unix.RTM_DELLINK {
		delete(was, a.Index)
		c.all = true
		return true
	}
	is := portOf(a)
	if was[a.Index] == is {
		return false
	}
	was[a.Index] = is
	c.all = true
	return true
}
