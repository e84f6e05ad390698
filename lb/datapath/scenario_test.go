package datapath

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"

	"lbctl/lb"
	"lbctl/lb/contract"
	"lbctl/lb/testns"
	"lbctl/rss/packet"

	"github.com/vishvananda/netlink"
)

// scenario is a stream of frames, and the tables for them. It has the name that the kernel's own benchmark of
// an XDP load balancer (tools/testing/selftests/bpf/benchs) uses, where it means the same.
type scenario struct {
	name  string
	flows int // a power of two, at most 1<<24; 0: 1
	v6    bool
	// service and packet change the plainest case: nat, modulo, 4 replicas, tracking by default; TCP with ACK.
	service func(s *lb.Service)
	packet  func(p *contract.Packet)
	// bytes changes the frame.
	bytes func(frame []byte)
	// begin are packets of every flow that come before the others and after the slots went into transition.
	begin []func(p *contract.Packet)
	// replicas is their number, 0: 4.
	replicas int
	// inTransition tells that all slots have another owner than before.
	inTransition bool
	// twoArms tells that clients and replicas are behind different interfaces: packets are redirected, not
	// sent back.
	twoArms bool
	want    lb.Reason // "": forwarded
	// mixed tells that packets may end in other reasons, too.
	mixed bool
}

func flags(f uint8) func(*contract.Packet) {
	return func(p *contract.Packet) { p.Flags = f }
}

func fragment(offset int, more bool) func(*contract.Packet) {
	return func(p *contract.Packet) {
		p.Fragment = &contract.Fragment{ID: 7, Offset: offset, More: more}
		if offset > 0 {
			p.Carried = make([]byte, 32)
		}
	}
}

// answer is what the first replica sends back.
func answer(p *contract.Packet) {
	replica := "10.1.0.1:80"
	if p.Flow.Source.Addr().Is6() {
		replica = "[2001:db8:2::1]:80"
	}
	p.Flow = packet.Flow{Source: netip.MustParseAddrPort(replica), Destination: p.Flow.Source, Protocol: p.Flow.Protocol}
}

// answerApart is an answer to a client that has one flow: there are more such clients than entries of the FIB
// cache.
func answerApart(p *contract.Packet) {
	a := p.Flow.Source.Addr().As4()
	a[3] = byte(p.Flow.Source.Port())
	p.Flow.Source = netip.AddrPortFrom(netip.AddrFrom4(a), p.Flow.Source.Port())
	answer(p)
}

func inMode(m lb.Mode) func(*lb.Service) { return func(s *lb.Service) { s.Mode = m } }

func inGUE(s *lb.Service) {
	s.Mode, s.Encapsulation, s.TunnelPort = lb.IPIP, lb.GUE, lb.GUEPort
}

func tracking(t lb.Tracking) func(*lb.Service) { return func(s *lb.Service) { s.Tracking = t } }

// ranges gives a service so many source ranges, among which the clients' is in the middle.
func ranges(n int) func(*lb.Service) {
	return func(s *lb.Service) {
		s.SourceRanges = []netip.Prefix{netip.MustParsePrefix("198.18.0.0/15")}
		if s.VIP.Address.Addr().Is6() {
			s.SourceRanges[0] = netip.MustParsePrefix("2001:db8:1::/64")
		}
		for i := range n - 1 {
			a := netip.AddrFrom4([4]byte{byte(64 + 128*(i%2)), byte(i), byte(i >> 8), 0})
			if p := netip.PrefixFrom(a, 24); s.VIP.Address.Addr().Is4() {
				s.SourceRanges = append(s.SourceRanges, p)
				continue
			}
			b := netip.MustParseAddr([]string{"2001:db7::", "2001:db9::"}[i%2]).As16()
			b[6], b[7] = byte(i), byte(i>>8)
			s.SourceRanges = append(s.SourceRanges, netip.PrefixFrom(netip.AddrFrom16(b), 64))
		}
	}
}

// elsewhere makes a packet one of a client that is in no range.
func elsewhere(p *contract.Packet) {
	p.Flow.Source = netip.AddrPortFrom(netip.MustParseAddr("203.0.113.7"), p.Flow.Source.Port())
}

// rates gives a service rates that are not reached but by flows that begin; lowRates is reached.
func rates(s *lb.Service) {
	s.RateLimit = lb.RateLimit{Packets: lb.MaxPacketRate, NewFlows: lb.MaxFlowRate}
}

func lowRates(s *lb.Service) { s.RateLimit = lb.RateLimit{Packets: 10_000} }

func udp(t lb.Tracking) func(*lb.Service) {
	return func(s *lb.Service) { s.VIP.Protocol, s.Tracking = packet.UDP, t }
}

func scenarios() []scenario {
	const many, million, syn, ack = 1 << 16, 1 << 20, 0x02, 0x10
	begun := []func(*contract.Packet){flags(syn), flags(ack)}
	settled := append(slices.Clone(begun), flags(ack)) // those whose half-open record gave way to others, too
	return []scenario{
		{name: "tcp-v4-hit"},
		{name: "tcp-v4-diverse", flows: many},
		{name: "tcp-v4-million", flows: million},
		{name: "tcp-v4-redirect", twoArms: true},
		{name: "tcp-v4-toeplitz", service: func(s *lb.Service) { s.Hash = lb.ToeplitzHash }},
		{name: "tcp-v4-syn", flows: many, packet: flags(syn)},
		{name: "tcp-v4-range", service: ranges(1)},
		{name: "tcp-v4-ranges", service: ranges(1000)},
		{name: "tcp-v4-ranges-diverse", service: ranges(1000), flows: many},
		{name: "tcp-v4-ranges-denied", service: ranges(1000), packet: elsewhere, want: lb.SourceDenied},
		{name: "tcp-v6-ranges", v6: true, service: ranges(1000)},
		{name: "tcp-v4-rates", service: rates},
		{name: "tcp-v4-rates-diverse", service: rates, flows: many},
		{name: "tcp-v4-rates-syn", service: rates, flows: many, packet: flags(syn), mixed: true},
		{name: "tcp-v4-rates-low", service: lowRates, packet: flags(ack), mixed: true},
		{name: "tcp-v4-dsr", service: inMode(lb.DSR)},
		{name: "tcp-v4-ipip", service: inMode(lb.IPIP)},
		{name: "tcp-v4-gue", service: inGUE},
		{name: "tcp-v4-options", packet: func(p *contract.Packet) { p.Options = []byte{1, 1, 1, 0} }},
		{name: "tcp-v4-fragment-first", packet: fragment(0, true)},
		{name: "tcp-v4-fragment-later", packet: fragment(24, false), begin: []func(*contract.Packet){fragment(0, true)}},
		{name: "tcp-v4-return", packet: answer, want: lb.Returned},
		{name: "tcp-v4-return-diverse", packet: answer, flows: many, want: lb.Returned},
		{name: "tcp-v4-return-clients", packet: answerApart, flows: many, want: lb.Returned},
		{name: "tcp-v6-return", v6: true, packet: answer, want: lb.Returned},
		{name: "tcp-v4-return-recorded", packet: answer, service: tracking(lb.TrackAlways), replicas: 1, begin: begun, want: lb.Returned},
		{name: "tcp-v4-return-recorded-diverse", packet: answer, service: tracking(lb.TrackAlways), replicas: 1, begin: settled, flows: many, want: lb.Returned},
		{name: "tcp-v6-return-recorded", v6: true, packet: answer, service: tracking(lb.TrackAlways), replicas: 1, begin: begun, want: lb.Returned},
		{name: "tcp-v6-hit", v6: true},
		{name: "tcp-v6-diverse", v6: true, flows: many},
		{name: "tcp-v6-ipip", v6: true, service: inMode(lb.IPIP)},
		{name: "tcp-v6-gue", v6: true, service: inGUE},
		{name: "udp-v4", service: udp(lb.TrackAlways)},
		{name: "udp-v4-diverse", service: udp(lb.TrackAlways), flows: many},
		{name: "udp-v4-untracked", service: udp(lb.Stateless)},
		{name: "tcp-v4-always", service: tracking(lb.TrackAlways), begin: begun},
		{name: "tcp-v4-transition", inTransition: true, begin: begun},
		{name: "tcp-v4-transition-diverse", inTransition: true, begin: begun, flows: many},
		{name: "tcp-v4-transition-million", inTransition: true, begin: begun, flows: million},
		{name: "tcp-v4-transition-miss", inTransition: true},
		{name: "tcp-v4-transition-miss-diverse", inTransition: true, flows: many},
		{name: "tcp-v4-transition-syn", inTransition: true, packet: flags(syn)},
		{name: "tcp-v4-transition-syn-flood", inTransition: true, flows: million, packet: flags(syn)},
		{name: "tcp-v6-transition", v6: true, inTransition: true, begin: begun},
		{name: "pass-no-vip", packet: func(p *contract.Packet) {
			p.Flow.Destination = netip.MustParseAddrPort("192.0.2.99:80")
		}, want: lb.NotOurs},
		{name: "pass-vip-other-port", packet: func(p *contract.Packet) {
			p.Flow.Destination = netip.AddrPortFrom(p.Flow.Destination.Addr(), 81)
		}, want: lb.ForThisHost},
		{name: "pass-non-ip", bytes: func(frame []byte) { frame[12], frame[13] = 0x08, 0x06 }, want: lb.NotIP},
	}
}

// addresses of the service, its replicas (%d) and the first client.
func (s scenario) addresses() (vip, replica, client string) {
	if s.v6 {
		return "[2001:db8::1]:80", "[2001:db8:2::%d]:80", "2001:db8:1::1"
	}
	return "192.0.2.1:80", "10.1.0.%d:80", "198.18.0.1"
}

// configured returns the service and, if its slots are to be in transition, what it was before.
func (s scenario) configured() (is, was lb.Service) {
	vip, replica, _ := s.addresses()
	is = lb.Service{VIP: lb.VIP{Address: netip.MustParseAddrPort(vip), Protocol: packet.TCP}, Tracking: lb.TrackChanges}
	if s.service != nil {
		s.service(&is)
	}
	replicas := cmp.Or(s.replicas, 4)
	if s.inTransition {
		replicas = 8
	}
	for i := range replicas {
		is.Replicas = append(is.Replicas, lb.Replica{Address: netip.MustParseAddrPort(fmt.Sprintf(replica, i+1))})
	}
	was = is.Clone()
	for i := 4; i < replicas; i++ { // four active, four draining, and the other way round before
		is.Replicas[i].State, was.Replicas[i-4].State = lb.Draining, lb.Draining
	}
	return is.WithDefaults(), was.WithDefaults()
}

// configure makes the replicas, on a link with neighbours, and the service, and returns the index of
// the interface that the frames come from.
func (s scenario) configure(b *testing.B, d *Datapath) (ingress int) {
	l := testns.Veth(b, "up", "10.1.0.254/24", "2001:db8:2::fe/64")
	is, was := s.configured()
	for _, r := range is.Replicas {
		testns.Neighbour(b, l, r.Address.Addr().String())
	}
	for clients, gateway := range map[string]string{"198.18.0.0/15": "10.1.0.1", "2001:db8:1::/64": "2001:db8:2::1"} {
		to := netip.MustParsePrefix(clients)
		err := netlink.RouteAdd(&netlink.Route{
			LinkIndex: l.Attrs().Index, Gw: netip.MustParseAddr(gateway).AsSlice(),
			Dst: &net.IPNet{IP: to.Addr().AsSlice(), Mask: net.CIDRMask(to.Bits(), to.Addr().BitLen())},
		})
		if err != nil {
			b.Fatal("add route:", err)
		}
	}
	services := []lb.Service{is}
	if s.inTransition {
		services = []lb.Service{was, is}
	}
	for _, service := range services {
		if err := d.SetService(b.Context(), service); err != nil {
			b.Fatal(err)
		}
	}
	if s.twoArms {
		return testns.Veth(b, "clients").Attrs().Index
	}
	return l.Attrs().Index
}

// frame returns a packet of flow i.
func (s scenario) frame(i int, change func(*contract.Packet)) []byte {
	is, _ := s.configured()
	_, _, client := s.addresses()
	from := netip.MustParseAddr(client).AsSlice()
	from[len(from)-2] += byte(i >> 8)
	from[len(from)-3] += byte(i >> 16)
	address, _ := netip.AddrFromSlice(from)
	p := contract.Packet{TTL: 64, Flags: 0x10, Flow: packet.Flow{
		Source: netip.AddrPortFrom(address, uint16(1024+i&0xff)), Destination: is.VIP.Address, Protocol: is.VIP.Protocol,
	}}
	if change != nil {
		change(&p)
	}
	frame := p.Frame()
	if s.bytes != nil {
		s.bytes(frame)
	}
	return frame
}
