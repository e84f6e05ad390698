package datapath

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// golden is a packet of the self-test, and the services to set before it.
type golden struct {
	name     string
	services []lb.Service
	frame    []byte
}

// goldenPackets returns the packets of the self-test in their order.
func goldenPackets() []golden {
	v4, v6 := fourBehind("192.0.2.1:80", "10.0.0.%d:8080", lb.NAT), fourBehind("[2001:db8:1::1]:80", "[2001:db8::%d]:8080", lb.NAT)
	dsr, ipip := fourBehind("192.0.2.2:80", "10.0.0.%d:80", lb.DSR), fourBehind("192.0.2.3:80", "[2001:db8::%d]:80", lb.IPIP)
	less := v4.Clone()
	less.Replicas[2].State, less.Replicas[3].State = lb.Draining, lb.Down
	odd := v6.Clone()
	odd.Replicas, odd.TableSize, odd.Hash = odd.Replicas[1:], 3, lb.ToeplitzHash
	all := []golden{
		{name: "a packet to nobody", frame: toVIP("192.0.2.1:80", 1, false)},
		{name: "services", services: []lb.Service{v4, v6, dsr, ipip}, frame: make([]byte, 14)},
		{name: "a packet cut short", frame: toVIP("192.0.2.1:80", 1, false)[:30]},
		{name: "an echo request", frame: echo()},
		{name: "another protocol", frame: tweak(toVIP("192.0.2.9:80", 1, false), 23, 47)}, // to a VIP the FIB of this host would decide
		{name: "ttl 1", frame: tweak(toVIP("192.0.2.1:80", 1, false), 22, 1)},
	}
	add := func(what string, services ...lb.Service) {
		all = append(all, golden{name: what, services: services, frame: toVIP("198.51.100.99:80", 1, false)})
		for _, vip := range []string{"192.0.2.1:80", "[2001:db8:1::1]:80", "192.0.2.2:80", "192.0.2.3:80"} {
			for port := range uint16(16) {
				name := fmt.Sprintf("%s, to %s from port %d", what, vip, port+1)
				all = append(all, golden{name: name, frame: toVIP(vip, port+1, port%4 == 1)})
			}
		}
	}
	add("settled")
	add("slots in transition, a service rehashed", less, odd)
	add("once more")
	return all
}

// fourBehind returns a service with four replicas.
func fourBehind(vip, replica string, mode lb.Mode) lb.Service {
	s := lb.Service{VIP: lb.VIP{Address: netip.MustParseAddrPort(vip), Protocol: packet.TCP}, Scheduler: lb.Maglev, TableSize: 7, Mode: mode, Tracking: lb.TrackChanges}
	for i := range 4 {
		s.Replicas = append(s.Replicas, lb.Replica{Address: netip.MustParseAddrPort(fmt.Sprintf(replica, i+2))})
	}
	return s.WithDefaults()
}

// toVIP returns a frame of a client to a VIP.
func toVIP(vip string, port uint16, syn bool) []byte {
	to, client := netip.MustParseAddrPort(vip), netip.MustParseAddr("198.51.100.1")
	if to.Addr().Is6() {
		client = netip.MustParseAddr("2001:db8:2::1")
	}
	frame, err := oracle.FrameOf(lb.Probe{SYN: syn, Flow: packet.Flow{Source: netip.AddrPortFrom(client, port), Destination: to, Protocol: packet.TCP}})
	if err != nil {
		panic(err) // the flow is one
	}
	return frame
}

// tweak sets one byte of a frame.
func tweak(frame []byte, at int, to byte) []byte {
	frame[at] = to
	return frame
}

// echo returns an ICMP echo request to a VIP: the type and its checksum take the place of the ports.
func echo() []byte {
	frame := slices.Clone(toVIP("192.0.2.1:80", 1, false))
	frame[23] = 1
	icmp := frame[34:]
	clear(icmp)
	icmp[0] = 8
	binary.BigEndian.PutUint16(icmp[2:], packet.Checksum(icmp))
	return frame
}
