package doctor

import (
	"net/netip"
	"testing"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// Where a service does not record every flow, every packet of a replica's port is an answer. That is worth a warning where
// servers begin flows from that port.
func TestAnswers(t *testing.T) {
	service := func(p packet.Protocol, m lb.Mode, tracking lb.Tracking, port uint16) func(*Facts) {
		return func(f *Facts) {
			f.Services = []lb.Service{{
				VIP: lb.VIP{Address: netip.MustParseAddrPort("192.0.2.1:1000"), Protocol: p}, Mode: m, Tracking: tracking,
				Replicas: []lb.Replica{
					{Address: netip.MustParseAddrPort("10.1.0.1:1000")}, {Address: netip.AddrPortFrom(netip.MustParseAddr("10.1.0.2"), port)},
				},
			}}
		}
	}
	every := "every packet from the address and port of a replica"
	try(t, healthy, []aCase{
		{"recorded", service(packet.UDP, lb.NAT, lb.TrackAlways, 53), []string{"ok udp 192.0.2.1:1000 answers: packets of flows that are recorded"}},
		{"a name server", service(packet.UDP, lb.NAT, lb.Stateless, 53), []string{
			"warning udp 192.0.2.1:1000 answers: every packet from port 53 of a replica, from which servers begin flows, too | # set tracking: always for the service",
		}},
		{"a proxy of calls", service(packet.TCP, lb.NAT, lb.TrackChanges, 5060), []string{
			"warning tcp 192.0.2.1:1000 answers: every packet from port 5060 of a replica, from which servers begin flows, too | # set tracking: always for the service",
		}},
		{"a name server by TCP", service(packet.TCP, lb.NAT, lb.TrackChanges, 53), []string{"ok tcp 192.0.2.1:1000 answers: " + every}},
		{"a web server", service(packet.TCP, lb.NAT, lb.TrackChanges, 80), []string{"ok tcp 192.0.2.1:1000 answers: " + every}},
		{"answers do not come by", service(packet.UDP, lb.DSR, lb.Stateless, 53), nil},
	})
}
