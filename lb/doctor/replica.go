package doctor

import (
	"net/netip"

	"lbctl/lb"
)

// Replica is a server behind the balancer and the way to it.
type Replica struct {
	Address netip.Addr
	Mode    lb.Mode
	Way     Way
}

// Way is how this namespace reaches an address. The zero value: not at all.
type Way struct {
	Kind WayKind
	// Interface is the one that packets leave by.
	Interface string
	// Gateway is the router; invalid if the address is on the link itself.
	Gateway netip.Addr
	// Source is the address that this namespace would send from.
	Source netip.Addr
	// MTU is the route's or, if that has none, the interface's; in bytes.
	MTU int
	// Neighbour is the state of the next hop: "reachable", "failed", ...; empty if nobody asked for it.
	Neighbour string
}

// WayKind says what the routing table does with packets to an address.
type WayKind uint8

const (
	// Nowhere: there is no route, or one that refuses.
	Nowhere WayKind = iota
	// Routed: they leave by an interface.
	Routed
	// Local: it is an address of this namespace.
	Local
)

// next is the address whose MAC frames to the replica carry.
func (r Replica) next() netip.Addr {
	if r.Way.Gateway.IsValid() {
		return r.Way.Gateway
	}
	return r.Address
}

// overhead is how much longer packets become on the way, in bytes (RFC 2003, RFC 2473).
func (r Replica) overhead() int {
	switch {
	case r.Mode != lb.IPIP:
		return 0
	case r.Address.Is4():
		return 20
	}
	return 40
}
