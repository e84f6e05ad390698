package contract

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// randomFrame is a frame, the link it comes on, and how it was made.
type randomFrame struct {
	bytes   []byte
	ingress string
	flow    packet.Flow
	changes []string
}

// String returns the flow and the changes.
func (f randomFrame) String() string {
	if len(f.changes) == 0 {
		return f.flow.String()
	}
	return fmt.Sprintf("%v with %s", f.flow, strings.Join(f.changes, ", "))
}

// randomFrame returns a packet that mostly belongs to one of the services, with up to two named changes,
// mostly one.
func (d *comparison) randomFrame(services []lb.Service) randomFrame {
	r := d.random
	p := Packet{
		Flow: randomFlow(r, services), TTL: uint8(2 + r.IntN(254)),
		Source: lb.MAC{2, 3, 4, 5, 6, 7}, Destination: lb.MAC{2, 8, 9, 10, 11, 12},
		Flags: randomFlags(r), First: r.IntN(2) == 0, Payload: randomPayload(r), DontFragment: r.IntN(2) == 0,
	}
	if r.IntN(6) == 0 {
		p = randomICMP(r, p, services)
	}
	f := randomFrame{bytes: p.Frame(), ingress: links[r.IntN(3)].Name, flow: p.Flow}
	for range []int{0, 0, 0, 1, 1, 1, 1, 1, 1, 2}[r.IntN(10)] {
		m := randomMutation(r, f.bytes)
		f.bytes = m.apply(r, f.bytes)
		f.changes = append(f.changes, m.name)
	}
	return f
}

// fewFrame returns a packet of one of the flows of DifferentialFlows: of TCP a SYN or a later one.
func fewFrame(r *rand.Rand) randomFrame {
	v := fewVIPs()[r.IntN(6)]
	client := familyOf(v.Address.Addr()).on(East, 1, uint16(1000+r.IntN(60)))
	flow := packet.Flow{Source: client, Destination: withPort(v.Address, v.Address.Port()+[]uint16{0, 0, 0, 1, 2}[r.IntN(5)]), Protocol: v.Protocol}
	p := packetOf(flow, []uint8{flagSYN, flagSYN, flagACK, flagACK, flagFIN | flagACK, flagRST}[r.IntN(6)])
	if r.IntN(4) == 0 {
		p.Payload = []byte("data")
	}
	if r.IntN(4) == 0 {
		p.Flow = packet.Flow{Source: fewReplica(v, byte(r.IntN(6))), Destination: client, Protocol: v.Protocol}
		p.First = r.IntN(2) == 0
	}
	return randomFrame{bytes: p.Frame(), ingress: East, flow: p.Flow}
}

// randomFlags are those of the first packet of a connection, of a later one, or any.
func randomFlags(r *rand.Rand) uint8 {
	return []uint8{flagSYN, flagSYN, flagACK, flagACK, flagACK, uint8(r.IntN(256))}[r.IntN(6)]
}

// randomPayload is mostly short; one in four has about the length of an MTU, that of Narrow or of the others.
func randomPayload(r *rand.Rand) []byte {
	n := r.IntN(64)
	switch r.IntN(8) {
	case 0:
		n = 1190 + r.IntN(40)
	case 1:
		n = 1200 + r.IntN(300)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// randomFlow goes to a VIP, or comes from a replica, or has nothing to do with either.
func randomFlow(r *rand.Rand, services []lb.Service) packet.Flow {
	if len(services) == 0 {
		return strangers(r)
	}
	s := services[r.IntN(len(services))]
	f := familyOf(s.VIP.Address.Addr())
	flow := packet.Flow{Source: randomClient(r, f), Destination: randomPort(r, s), Protocol: s.VIP.Protocol}
	if s.Tracking == lb.TrackAlways && r.IntN(2) == 0 {
		flow.Source = f.on(East, 1, 50000) // may have a flow to the same replica by another VIP
	}
	switch n := r.IntN(20); {
	case n < 1: // to another port
		flow.Destination = withPort(flow.Destination, 81)
		return flow
	case n < 12 || len(s.Replicas) == 0:
		return flow
	case n < 18:
		flow.Source, flow.Destination = s.Replicas[r.IntN(len(s.Replicas))].Address, flow.Source
		return flow
	case n < 19: // from a replica to a VIP
		flow.Source = s.Replicas[r.IntN(len(s.Replicas))].Address
		return flow
	}
	return strangers(r)
}

// strangers is a flow of no service.
func strangers(r *rand.Rand) packet.Flow {
	f := families()[r.IntN(2)]
	return packet.Flow{Source: randomClient(r, f), Destination: randomClient(r, f), Protocol: protocols()[r.IntN(2)]}
}

// randomClient is a host on East or Narrow, known or not, or one that cannot be reached. Its port is mostly
// one of few.
func randomClient(r *rand.Rand, f family) netip.AddrPort {
	port, host := uint16(r.IntN(1<<16)), byte(1+r.IntN(neighboursPerPrefix))
	if r.IntN(3) > 0 {
		port = 50000 + uint16(r.IntN(4))
	}
	switch r.IntN(10) {
	case 0:
		if r.IntN(2) == 0 {
			return withPort(f.own([]string{East, West, Narrow}[r.IntN(3)]), port)
		}
		return f.off(host, port)
	case 1:
		return f.on(East, unknown, port)
	case 2, 3:
		return f.on(Narrow, host, port)
	}
	return f.on(East, host, port)
}

// randomICMP returns an echo request to the destination of a packet, or an error about the packet or the
// answer to it. The quote may be cut anywhere.
func randomICMP(r *rand.Rand, p Packet, services []lb.Service) Packet {
	v4 := p.Flow.Source.Addr().Is4()
	if r.IntN(4) == 0 {
		kind := byte(128)
		if v4 {
			kind = 8
		}
		return p.icmp(kind, 0, [4]byte{1, 2, 3, 4}, p.Payload)
	}
	if r.IntN(4) == 0 && len(services) > 0 {
		return randomTunnelError(r, p, services[r.IntN(len(services))])
	}
	quoted := p
	if r.IntN(3) == 0 {
		quoted.Payload = slices.Repeat([]byte{byte(r.Uint32())}, 1400) // too long for Narrow with an error's header
	}
	if r.IntN(2) == 0 {
		quoted.Flow = quoted.Flow.Reverse()
	}
	kinds := []byte{1, 2, 3, 4, 5, 128}
	if v4 {
		kinds = []byte{3, 4, 5, 11, 12, 8}
	}
	if !v4 && r.IntN(4) == 0 {
		quoted.Extensions = []Extension{header([]byte{0, 43, 60}[r.IntN(3)], 8*(1+r.IntN(3)))}
	}
	if n := len(quoted.segment()); n > 24 && r.IntN(6) == 0 {
		quoted = quoted.fragments(uint32(r.IntN(3)), 24)[r.IntN(2)]
	}
	ip := quoted.ip()
	if r.IntN(4) == 0 {
		ip = ip[:r.IntN(len(ip)+1)]
	}
	sender := quoted.Flow.Destination
	if r.IntN(3) == 0 {
		sender = randomClient(r, familyOf(quoted.Flow.Source.Addr()))
	}
	p.Flow = packet.Flow{Source: sender, Destination: quoted.Flow.Source, Protocol: p.Flow.Protocol}
	return p.icmp(kinds[r.IntN(6)], byte(r.IntN(2)), [4]byte{}, ip[:min(len(ip), 1440)])
}

// randomTunnelError is an ICMP error about an outer packet that carried a packet to a replica of a service, or seems to
// have.
func randomTunnelError(r *rand.Rand, p Packet, s lb.Service) Packet {
	if len(s.Replicas) == 0 {
		return p
	}
	replica := s.Replicas[r.IntN(len(s.Replicas))].Address
	f, link := familyOf(replica.Addr()), []string{West, West, Narrow, East}[r.IntN(4)]
	p.Flow.Destination, p.Flow.Protocol = randomPort(r, s), s.VIP.Protocol
	if p.Flow.Source.Addr().Is4() != s.VIP.Address.Addr().Is4() {
		p.Flow.Source = randomClient(r, familyOf(s.VIP.Address.Addr()))
	}
	outer := Packet{Flow: tunnelOf(s, replica, link, p.Flow), TTL: 60, Carried: p.ip()}
	if outer.Flow.Protocol = packet.InnerIPv4; !s.VIP.Address.Addr().Is4() {
		outer.Flow.Protocol = packet.InnerIPv6
	}
	if s.Encapsulation != lb.Plain {
		outer.Flow.Protocol, outer.Carried = packet.UDP, inUDP(outer.Flow, p.ip())
	}
	us := netip.AddrPortFrom(outer.Flow.Source.Addr(), 0)
	if r.IntN(8) == 0 {
		outer.Flow.Source = withPort(outer.Flow.Source, outer.Flow.Source.Port()+1)
	}
	ip := outer.ip()
	if r.IntN(3) == 0 {
		ip = ip[:r.IntN(len(ip)+1)]
	}
	kind, code := []byte{1, 2, 2, 3}[r.IntN(4)], byte(0)
	if f.v4 {
		kind, code = []byte{3, 3, 3, 11}[r.IntN(4)], []byte{1, 4, 4}[r.IntN(3)]
	}
	mtu := []uint16{0, 68, 600, 1280, 1300, 1400, 1500}[r.IntN(7)]
	e := Packet{Flow: packet.Flow{Source: f.on(link, 9, 0), Destination: us}, TTL: p.TTL, Source: p.Source, Destination: p.Destination}
	return e.icmp(kind, code, [4]byte{0, 0, byte(mtu >> 8), byte(mtu)}, ip[:min(len(ip), 1200)])
}
