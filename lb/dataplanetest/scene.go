package dataplanetest

import (
	"net/netip"

	"lbctl/lb"
	"lbctl/lb/model"
	"lbctl/rss/packet"
)

// scene is the set-up of the packet cases for one address family and protocol.
type scene struct {
	family
	protocol packet.Protocol
}

func scenes() []scene {
	var all []scene
	for _, f := range families() {
		for _, p := range protocols() {
			all = append(all, scene{f, p})
		}
	}
	return all
}

func (s scene) name() string { return s.family.name + " " + s.protocol.String() }

// The VIPs of a scene, by the number of their address. Each has at most one replica, on port 8080.
const (
	plain           = 1 // known, on West
	empty           = 2 // no replica
	unresolved      = 3 // on West, the MAC address unknown
	routeless       = 4 // nowhere
	small           = 5 // known, on Narrow
	smallUnresolved = 6 // on Narrow, the MAC address unknown
)

const replicaPort = 8080

// replica returns the replica of a VIP.
func (s scene) replica(vip byte) netip.AddrPort {
	switch vip {
	case plain:
		return s.on(West, 1, replicaPort)
	case unresolved:
		return s.on(West, unknown, replicaPort)
	case routeless:
		return s.off(1, replicaPort)
	case small:
		return s.on(Narrow, 1, replicaPort)
	case smallUnresolved:
		return s.on(Narrow, unknown, replicaPort)
	}
	panic("dataplanetest: no replica")
}

func (s scene) services() []lb.Service {
	all := []lb.Service{s.service(empty, s.protocol)}
	for _, vip := range []byte{plain, unresolved, routeless, small, smallUnresolved} {
		all = append(all, s.service(vip, s.protocol, s.replica(vip)))
	}
	return all
}

// client is a host on East whose MAC address is known.
func (s scene) client() netip.AddrPort { return s.on(East, 1, 40000) }

// plain is a packet of a client to the VIP plain.
func (s scene) plain() Packet {
	return Packet{
		Flow:        packet.Flow{Source: s.client(), Destination: s.vip(plain, s.protocol).Address, Protocol: s.protocol},
		TTL:         64,
		Source:      lb.MAC{2, 0xc, 0xc, 0xc, 0xc, 0xc},
		Destination: lb.MAC{2, 0xd, 0xd, 0xd, 0xd, 0xd},
		Flags:       0x18, // PSH, ACK
		Payload:     []byte("the quick brown fox jumps over the lazy dog!"),
	}
}

// ipHeader is the length of the IP header.
func (s scene) ipHeader() int {
	if s.v4 {
		return 20
	}
	return 40
}

// headers is the length of IP and layer 4.
func (s scene) headers() int {
	if s.protocol == packet.TCP {
		return s.ipHeader() + 20
	}
	return s.ipHeader() + 8
}

// l4 is the offset of layer 4 in a frame.
func (s scene) l4() int { return ethernet + s.ipHeader() }

// ethernet is the length of an Ethernet header.
const ethernet = 14

// sentTo is the outcome of a packet to the replica of a VIP, host 1 of the link.
func sentTo(vip byte, link string) outcome {
	o := outcome{action: model.Redirect, reason: lb.Forwarded, egress: link, host: 1, service: vip}
	o.rewrite = func(s scene, f *packet.Flow) { f.Destination = s.replica(vip) }
	return o
}

// by returns the outcome with another action.
func (o outcome) by(a model.Action) outcome {
	o.action = a
	return o
}

// passedTo is the outcome of a packet to a replica whose MAC address is not known.
func passedTo(vip byte) outcome {
	o := sentTo(vip, "")
	o.action, o.reason = model.Pass, lb.NeighbourMissing
	return o
}

// returnedTo is the outcome of an answer of plain's replica to host 1 of the link.
func returnedTo(link string) outcome {
	return outcome{
		action: model.Redirect, reason: lb.Returned, egress: link, host: 1,
		rewrite: func(s scene, f *packet.Flow) { f.Source = s.vip(plain, s.protocol).Address },
	}
}

func dropped(r lb.Reason) outcome { return outcome{action: model.Drop, reason: r} }

func passed(r lb.Reason) outcome { return outcome{action: model.Pass, reason: r} }
