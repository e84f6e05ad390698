package oracle_test

import (
	"net/netip"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// flow goes to the VIP of service.
var flow = packet.Flow{
	Source:      netip.MustParseAddrPort("198.51.100.1:40000"),
	Destination: netip.MustParseAddrPort("192.0.2.1:80"),
	Protocol:    packet.TCP,
}

// loop is an address that nobody is to be answered to.
var loop = netip.MustParseAddrPort("127.0.0.1:1")

// service is a valid service with one replica, of which everything else is a default.
func service() lb.Service {
	return lb.Service{
		VIP:       lb.VIP{Address: flow.Destination, Protocol: packet.TCP},
		Scheduler: lb.Maglev,
		Hash:      lb.ToeplitzHash,
		Replicas:  []lb.Replica{{Address: netip.MustParseAddrPort("10.0.0.1:8080")}},
	}.WithDefaults()
}

// probesOfNothing have flows without an address, or of two families.
func probesOfNothing() []lb.Probe {
	none, half, mixed := packet.Flow{}, flow, flow
	half.Source = netip.AddrPort{}
	mixed.Source = netip.MustParseAddrPort("[2001:db8::1]:1")
	return []lb.Probe{{Flow: none}, {Flow: half}, {Flow: mixed}}
}

// probedFlows are flows of each IP version and protocol.
func probedFlows() (all []packet.Flow) {
	six := packet.Flow{
		Source:      netip.MustParseAddrPort("[2001:db8:1::1]:40000"),
		Destination: netip.MustParseAddrPort("[2001:db8::1]:80"),
	}
	for _, f := range []packet.Flow{flow, six} {
		for _, p := range []packet.Protocol{packet.TCP, packet.UDP} {
			f.Protocol = p
			all = append(all, f)
		}
	}
	return all
}
