package oracle

import (
	"net/netip"

	"lbctl/lb"
)

// Routes says how packets leave. It must be safe for concurrent use, and must not change while
// a frame is processed.
type Routes interface {
	// Route returns the route to an address, false when there is none.
	Route(destination netip.Addr) (Route, bool)
}

// Route is the route to an address.
type Route struct {
	// Interface is the name of the interface to leave by, Index its number.
	Interface string
	Index     int
	// MTU is the greatest IP packet of the interface in bytes.
	MTU int
	// Source is the interface's address.
	Source lb.MAC
	// Neighbour is the next hop's address; the zero value when it is not known.
	Neighbour lb.MAC
	// Preferred is our own address that the kernel would send from: the source of tunnels.
	Preferred netip.Addr
}

// resolved reports whether the neighbour is known.
func (r Route) resolved() bool { return r.Neighbour != lb.MAC{} }

// nextHop returns the route as lb has it: without a neighbour it is unresolved.
func (r Route) nextHop() lb.NextHop {
	if !r.resolved() {
		return lb.NextHop{}
	}
	return lb.NextHop{Interface: r.Interface, Index: r.Index, Source: r.Source, Destination: r.Neighbour}
}

// nowhere has no routes.
type nowhere struct{}

func (nowhere) Route(netip.Addr) (Route, bool) { return Route{}, false }
