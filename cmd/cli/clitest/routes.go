package clitest

import (
	"net/netip"

	"lbctl/lb"
	"lbctl/lb/oracle"
)

// Everywhere is one way to all addresses, out of eth1.
type Everywhere struct{}

// Route returns it.
func (Everywhere) Route(netip.Addr) (oracle.Route, bool) {
	return oracle.Route{Interface: "eth1", Index: 3, MTU: 1500, Source: lb.MAC{2, 0, 0, 0, 0, 3}, Neighbour: lb.MAC{2, 0, 0, 0, 0, 9},
		Preferred: netip.MustParseAddr("10.0.0.254")}, true
}
