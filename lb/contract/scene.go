package contract

import (
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss"
	"lbctl/rss/packet"
)

// scene is the set-up of the packet cases for one address family, protocol and mode.
type scene struct {
	family
	protocol packet.Protocol
	mode     lb.Mode
	// replicas is the family of the replicas' addresses.
	replicas family
	// outer says what differs by flow in outer packets of mode ipip.
	outer outer
	// ranged: services have two ports, and packets are to the second.
	ranged bool
}

// scenes returns those of the mode nat, allScenes those of every mode.
func scenes() []scene {
	var all []scene
	for _, f := range families() {
		for _, p := range protocols() {
			all = append(all, scene{f, p, lb.NAT, f, outer{}, false})
		}
	}
	return all
}

func allScenes() []scene {
	all := scenes()
	for _, s := range scenes() {
		all = append(all, scene{s.family, s.protocol, lb.DSR, s.family, outer{}, false}, scene{s.family, s.protocol, lb.IPIP, s.family, outer{}, false})
		if s.v4 {
			all = append(all, scene{s.family, s.protocol, lb.IPIP, ipv6, outer{}, false})
		}
	}
	return append(append(all, outers()...), rangedScenes()...)
}

// rangedScenes are scenes of services with several ports.
func rangedScenes() []scene {
	return []scene{
		{ipv4, packet.TCP, lb.DSR, ipv4, outer{}, true}, {ipv6, packet.UDP, lb.DSR, ipv6, outer{}, true},
		{ipv6, packet.TCP, lb.IPIP, ipv6, outer{}, true}, {ipv4, packet.UDP, lb.IPIP, ipv6, outer{lb.GUE, lb.GUEPort, netip.Prefix{}}, true},
	}
}

// firstPort is the first of the ports of services.
func (s scene) firstPort() uint16 {
	if s.ranged {
		return 79
	}
	return 80
}

func (s scene) name() string {
	name := s.family.name + " " + s.protocol.String() + " " + s.mode.String()
	if s.v4 != s.replicas.v4 {
		name += " over " + s.replicas.name
	}
	if s.outer.encapsulation != lb.Plain {
		name += " " + s.outer.encapsulation.String()
	}
	if s.outer.sources.IsValid() {
		name += " from " + s.outer.sources.String()
	}
	if s.ranged {
		name += ", two ports"
	}
	return name
}

// The VIPs of a scene, by the number of their address. Each has at most one replica.
const (
	plain           = 1 // known, on West
	empty           = 2 // no replica
	unresolved      = 3 // on West, the MAC address unknown
	routeless       = 4 // nowhere
	small           = 5 // known, on Narrow
	smallUnresolved = 6 // on Narrow, the MAC address unknown
	mirror          = 7 // the client itself
)

// replica returns the replica of a VIP. Only nat can have it on another port than the VIP.
func (s scene) replica(vip byte) netip.AddrPort {
	port := s.firstPort()
	if s.mode == lb.NAT {
		port = 8080
	}
	switch vip {
	case plain:
		return s.replicas.on(West, 1, port)
	case unresolved:
		return s.replicas.on(West, unknown, port)
	case routeless:
		return s.replicas.off(1, port)
	case small:
		return s.replicas.on(Narrow, 1, port)
	case smallUnresolved:
		return s.replicas.on(Narrow, unknown, port)
	case mirror:
		return s.replicas.on(East, 1, port)
	}
	panic("contract: no replica")
}

func (s scene) services() []lb.Service {
	all := []lb.Service{s.service(empty, s.protocol)}
	for _, vip := range []byte{plain, unresolved, routeless, small, smallUnresolved, mirror} {
		all = append(all, s.service(vip, s.protocol, s.replica(vip)))
	}
	for i := range all {
		all[i] = s.moded(all[i])
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

// delivered returns the frame that leaves for the replica of a VIP; without an egress, the frame that is
// passed to the kernel to be delivered.
func (s scene) delivered(o outcome, ingress string, p Packet, build func(Packet) []byte) []byte {
	vip, replica := s.service(o.service, s.protocol), s.replica(o.service)
	flow, label := p.Flow, oracle.Hash(vip, rss.MicrosoftKey(), p.Flow)&0xfffff
	if s.mode == lb.NAT {
		p.Flow.Destination = replica
	}
	if o.egress == "" {
		return build(p)
	}
	ttl := p.TTL
	p = sentBy(p, o.egress, o.host)
	if s.mode == lb.DSR {
		p.TTL = ttl
	}
	if o.egress != ingress {
		p.Tags = nil
	}
	frame := build(p)
	if s.mode != lb.IPIP {
		return frame
	}
	if s.replicas.v4 {
		label = 0
	}
	return encapsulate(frame, len(p.Tags), s.tunnel(o.service, o.egress, flow), label)
}

// overhead is the length of the header that the mode puts around a packet.
func (s scene) overhead() int {
	bytes := 40
	switch {
	case s.mode != lb.IPIP:
		return 0
	case s.replicas.v4:
		bytes = 20
	}
	if s.outer.encapsulation != lb.Plain {
		bytes += 8
	}
	return bytes
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

// sentBy returns the packet as it leaves on a link to a known host there.
func sentBy(p Packet, link string, host byte) Packet {
	i := slices.IndexFunc(Links(), func(l Link) bool { return l.Name == link })
	l := Links()[i]
	p.Source, p.Destination = l.MAC, macOf(l, host)
	p.TTL--
	return p
}
