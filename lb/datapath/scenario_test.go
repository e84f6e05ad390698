package datapath

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"

	"lbctl/bpf/count"
	"lbctl/lb"
	"lbctl/lb/contract"
	"lbctl/lb/testns"
	"lbctl/lb/xdp/inventory"
	"lbctl/rss/packet"

	"github.com/vishvananda/netlink"
)

// scenario is a stream of frames, and the tables for them. It has the name that the kernel's own benchmark of
// an XDP load balancer (tools/testing/selftests/bpf/benchs) uses, where it means the same.
type scenario struct {
	name  string
	flows int // a power of two, at most 1<<24; 0: 1
	v6    bool
	// services and replicas of each; 0: 1 and 4. Several services take packets in turn.
	services, replicas int
	scheduler          lb.Scheduler
	// service and packet change the plainest case: nat, modulo, 4 replicas, tracking by default; TCP with ACK.
	service func(s *lb.Service)
	packet  func(p *contract.Packet)
	// bytes changes the frame.
	bytes func(frame []byte)
	// begin are packets of every flow that come before the others and after the slots went into transition.
	begin []func(p *contract.Packet)
	// apart tells that each flow has a client of its own.
	apart bool
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

func inMode(m lb.Mode) func(*lb.Service) { return func(s *lb.Service) { s.Mode = m } }

func inGUE(s *lb.Service) {
	s.Mode, s.Encapsulation, s.TunnelPort = lb.IPIP, lb.GUE, lb.GUEPort
}

func tracking(t lb.Tracking) func(*lb.Service) { return func(s *lb.Service) { s.Tracking = t } }

func allOf(a, b func(*lb.Service)) func(*lb.Service) { return func(s *lb.Service) { a(s); b(s) } }

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
	all := []scenario{
		{name: "tcp-v4-hit"},
		{name: "tcp-v4-hit", replicas: 100, scheduler: lb.Maglev},
		{name: "tcp-v4-diverse", replicas: 100, scheduler: lb.Maglev, flows: many},
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
		{name: "tcp-v4-return-clients", packet: answer, apart: true, flows: many, want: lb.Returned}, // more than entries of the FIB cache
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
		{name: "tcp-v4-always-diverse", flows: many, service: tracking(lb.TrackAlways), begin: begun},
		{name: "tcp-v4-always-million", flows: million, service: tracking(lb.TrackAlways), begin: begun},
		{name: "tcp-v4-always-syn", flows: many, service: tracking(lb.TrackAlways), packet: flags(syn)},
		{name: "tcp-v4-always-ipip-hit", service: allOf(tracking(lb.TrackAlways), inMode(lb.IPIP)), begin: begun},
		{name: "tcp-v4-always-ipip-diverse", flows: many, service: allOf(tracking(lb.TrackAlways), inMode(lb.IPIP)), begin: begun},
		{name: "tcp-v4-always-ipip-million", flows: million, service: allOf(tracking(lb.TrackAlways), inMode(lb.IPIP)), begin: begun},
		{name: "tcp-v4-always-ipip-syn", flows: many, service: allOf(tracking(lb.TrackAlways), inMode(lb.IPIP)), packet: flags(syn)},
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
	for _, scheduler := range []lb.Scheduler{lb.Modulo, lb.Maglev} {
		for _, size := range [][2]int{{512, 100}, {10_000, 10}} {
			for _, x := range []scenario{
				{name: "tcp-v4-hit"},
				{name: "tcp-v4-diverse", flows: many},
				{name: "tcp-v4-million", flows: million},
				{name: "tcp-v4-syn", flows: many, packet: flags(syn)},
				{name: "tcp-v4-ipip-diverse", flows: many, service: inMode(lb.IPIP)},
				{name: "tcp-v4-ipip-million", flows: million, service: inMode(lb.IPIP)},
				{name: "tcp-v4-always-diverse", flows: many, service: tracking(lb.TrackAlways), begin: begun},
			} {
				x.services, x.replicas, x.scheduler = size[0], size[1], scheduler
				all = append(all, x)
			}
		}
	}
	return all
}

// firstPort is the first client port. Its second byte is 0.
const firstPort = 0xc100

// addresses of the first service and the first client. Those of IPv4 end in 0: what is added to them does not carry.
func (s scenario) addresses() (vip netip.AddrPort, client netip.Addr) {
	if s.v6 {
		return netip.MustParseAddrPort("[2001:db8::1]:80"), netip.MustParseAddr("2001:db8:1::1")
	}
	return netip.MustParseAddrPort("192.0.2.0:80"), netip.MustParseAddr("198.18.0.0")
}

func (s scenario) withDefaults() scenario {
	s.flows, s.services = max(s.flows, 1), max(s.services, 1)
	switch {
	case s.inTransition:
		s.replicas = 8
	case s.replicas == 0:
		s.replicas = 4
	}
	return s
}

// limits are those that the scenario needs, and lines of records that are not crowded.
func (s scenario) limits() lb.Limits {
	l := lb.DefaultLimits
	l.Flows = max(l.Flows, 4*uint32(s.flows))
	for l.Services < uint32(s.services) {
		l.Services *= 2
	}
	for l.Replicas < uint32(s.services*s.replicas) {
		l.Replicas *= 2
	}
	is, _ := s.configured(0)
	for l.Slots < uint32(s.services)*is.TableSize {
		l.Slots *= 2
	}
	return l
}

// replica returns the address of one of all replicas.
func (s scenario) replica(i int) netip.AddrPort {
	if s.v6 {
		return netip.MustParseAddrPort(fmt.Sprintf("[2001:db8:2::%d]:80", i+1))
	}
	network := byte(1)
	if s.services > 1 {
		network = 2 + byte(i>>16)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, network, byte(i >> 8), byte(i + 1)}), 80)
}

// configured returns a service and, if its slots are to be in transition, what it was before.
func (s scenario) configured(service int) (is, was lb.Service) {
	vip, _ := s.addresses()
	a := vip.Addr().AsSlice()
	a[len(a)-1] += byte(service)
	a[len(a)-2] += byte(service >> 8)
	address, _ := netip.AddrFromSlice(a)
	is = lb.Service{VIP: lb.VIP{Address: netip.AddrPortFrom(address, vip.Port()), Protocol: packet.TCP}, Scheduler: s.scheduler, Tracking: lb.TrackChanges}
	if s.service != nil {
		s.service(&is)
	}
	for i := range s.replicas {
		is.Replicas = append(is.Replicas, lb.Replica{Address: s.replica(service*s.replicas + i)})
	}
	was = is.Clone()
	for i := 4; i < s.replicas && s.inTransition; i++ { // four active, four draining, and the other way round before
		is.Replicas[i].State, was.Replicas[i-4].State = lb.Draining, lb.Draining
	}
	return is.WithDefaults(), was.WithDefaults()
}

// configure makes the replicas, on a link with neighbours, and the service, and returns the index of
// the interface that the frames come from.
func (s scenario) configure(b testing.TB, d *Datapath) (ingress int) {
	l := testns.Veth(b, "up", "10.1.0.254/24", "2001:db8:2::fe/64", "10.255.0.1/24")
	routes := map[string]string{"198.18.0.0/15": "10.1.0.1", "2001:db8:1::/64": "2001:db8:2::1"}
	testns.Neighbour(b, l, "10.255.0.9")
	if s.services > 1 {
		routes["10.0.0.0/9"] = "10.255.0.9"
	}
	first, _ := s.configured(0)
	for _, r := range first.Replicas {
		testns.Neighbour(b, l, r.Address.Addr().String())
	}
	for clients, gateway := range routes {
		to := netip.MustParsePrefix(clients)
		err := netlink.RouteAdd(&netlink.Route{
			LinkIndex: l.Attrs().Index, Gw: netip.MustParseAddr(gateway).AsSlice(),
			Dst: &net.IPNet{IP: to.Addr().AsSlice(), Mask: net.CIDRMask(to.Bits(), to.Addr().BitLen())},
		})
		if err != nil {
			b.Fatal("add route:", err)
		}
	}
	for i := range s.services {
		is, was := s.configured(i)
		states := []lb.Service{is}
		if s.inTransition {
			states = []lb.Service{was, is}
		}
		setAll(b, d, states)
	}
	if s.twoArms {
		return testns.Veth(b, "clients").Attrs().Index
	}
	return l.Attrs().Index
}

// frame returns a packet of the first flow of the first service.
func (s scenario) frame(change func(*contract.Packet)) []byte {
	is, _ := s.configured(0)
	_, client := s.addresses()
	p := contract.Packet{TTL: 64, Flags: 0x10, Flow: packet.Flow{
		Source: netip.AddrPortFrom(client, firstPort), Destination: is.VIP.Address, Protocol: is.VIP.Protocol,
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

// TestInstructions bounds what a packet costs where nothing can be timed. What is counted does with the packet what the kernel does.
func TestInstructions(t *testing.T) {
	most := map[string]int{"tcp-v4-hit": 275, "tcp-v4-dsr": 232, "tcp-v6-hit": 408}
	for _, s := range scenarios() {
		if most[s.name] == 0 || s.services > 0 || s.replicas > 0 {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			s = s.withDefaults()
			inNamespace(t)
			d := open(t, Options{Limits: s.limits(), manualClock: true})
			ingress, frame := s.configure(t, d), s.frame(s.packet)
			c, err := count.Run(d.Program(), frame, ingress)
			if errors.Is(err, count.ErrCall) {
				t.Skipf("Linux %s: %v", inventory.Release(), err)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d instructions, %d loads, %d stores, %d of the stack", c.Instructions, c.Loads, c.Stores, c.Stack)
			if c.Instructions > most[s.name] {
				t.Errorf("%d instructions, want %d at most", c.Instructions, most[s.name])
			}
			v, err := send(d.Program(), ingress, frame)
			if err != nil {
				t.Fatal(err)
			}
			if v.Action != actions()[c.Verdict] || !bytes.Equal(v.Frame, c.Frame) {
				t.Errorf("verdict %d, frame %x, by the kernel %+v", c.Verdict, c.Frame, v)
			}
		})
	}
}
