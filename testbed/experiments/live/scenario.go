package live

import (
	"net/netip"

	"lbctl/control/api"
	"lbctl/rss/packet"
)

// scenario is a stream of frames.
type scenario struct {
	name string
	six  bool
	// flows is a power of two, at most 1<<16.
	flows int
}

func scenarios() []scenario {
	return []scenario{
		{name: "tcp-v4-hit", flows: 1},
		{name: "tcp-v4-diverse", flows: 1 << 16},
		{name: "tcp-v6-hit", six: true, flows: 1},
	}
}

// vip is where all frames go.
func vip(six bool) netip.AddrPort {
	if six {
		return netip.MustParseAddrPort("[2001:db8::1]:80")
	}
	return netip.MustParseAddrPort("192.0.2.1:80")
}

// services is what the load balancer is given.
func services() []api.Service {
	list := []api.Service{{Name: "four"}, {Name: "six"}}
	for i := range list {
		six := i == 1
		list[i].VIP = vip(six).String()
		for k := range replicas {
			list[i].Replicas = append(list[i].Replicas, api.Replica{Address: replica(six, k).String()})
		}
	}
	return list
}

// frames are those of the scenario: packets of established TCP connections without payload.
func (s scenario) frames() [][]byte {
	all := make([][]byte, s.flows)
	for i := range all {
		all[i] = packet.Frame{
			Source: packet.MAC{2, 0, 0, 0, 0, 1}, Destination: packet.MAC{2, 0, 0, 0, 0, 2},
			Flow: packet.Flow{Source: s.client(i), Destination: vip(s.six), Protocol: packet.TCP},
		}.Marshal()
	}
	return all
}

// client is the source of flow i: 256 ports of 256 addresses.
func (s scenario) client(i int) netip.AddrPort {
	address := netip.AddrFrom4([4]byte{100, 64, byte(i >> 8), 1})
	if s.six {
		b := netip.MustParseAddr("2001:db8:1::1").As16()
		b[13] = byte(i >> 8)
		address = netip.AddrFrom16(b)
	}
	return netip.AddrPortFrom(address, uint16(1024+i&0xff))
}
