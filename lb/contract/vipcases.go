package contract

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// kept returns what becomes of a packet that nothing of the datapath takes. To the address of a VIP it is this
// host's: no route of this network leads to the VIPs of scenes.
func (s scene) kept(o outcome, frame []byte) outcome {
	unclaimed := []lb.Reason{lb.NotOurs, lb.NotTCPUDP, lb.IPv6Extension, lb.FragmentOrphan}
	if to, found := destination(frame); found && s.isVIP(to) && slices.Contains(unclaimed, o.reason) {
		return passed(lb.ForThisHost)
	}
	return o
}

func (s scene) isVIP(a netip.Addr) bool {
	return slices.ContainsFunc(s.services(), func(v lb.Service) bool { return v.VIP.Address.Addr() == a })
}

// destination returns that of the IP header of a frame with up to two tags.
func destination(frame []byte) (a netip.Addr, found bool) {
	at := 12
	for range 2 {
		if len(frame) >= at+2 && slices.Contains([]uint16{0x8100, 0x88a8}, binary.BigEndian.Uint16(frame[at:])) {
			at += 4
		}
	}
	if len(frame) < at+2 {
		return a, false
	}
	offset, length := 16, 4
	switch binary.BigEndian.Uint16(frame[at:]) {
	case 0x86dd:
		offset, length = 24, 16
	case 0x0800:
	default:
		return a, false
	}
	if from := at + 2 + offset; len(frame) >= from+length {
		return netip.AddrFromSlice(frame[from : from+length])
	}
	return a, false
}

// testVIPAddresses sends packets to the addresses of VIPs that no service takes. Where the kernel would forward
// them they are dropped, or rejected: they would come back. What is to an address of the host goes up.
func testVIPAddresses(t *testing.T, open func(t *testing.T) Harness) {
	for _, s := range scenes() {
		t.Run(s.name(), func(t *testing.T) {
			b := newFixture(t, open)
			forwarded, own := s.on(East, unknown, 80), withPort(s.own(West), 80)
			for _, v := range []netip.AddrPort{forwarded, own} {
				b.set(lb.Service{VIP: lb.VIP{Address: v, Protocol: s.protocol}}.WithDefaults())
			}
			for _, c := range addressCases(s) {
				if c.only != nil && !c.only(s) {
					continue
				}
				want, up := c.want, c.want
				if c.rejected.action == oracle.Transmit && b.NoService == lb.RejectNoService {
					want = c.rejected
				}
				if c.want.reason == lb.VIPNoService || c.want.reason == lb.FragmentOrphan {
					up = passed(lb.ForThisHost)
				}
				t.Run(c.name+" to a vip that the kernel forwards to", func(t *testing.T) { fixture{b.Harness, t}.sendTo(s, c, forwarded, want) })
				t.Run(c.name+" to a vip of the host", func(t *testing.T) { fixture{b.Harness, t}.sendTo(s, c, own, up) })
			}
		})
	}
}

// sendTo sends the packet of a case to a VIP.
func (b fixture) sendTo(s scene, c addressCase, vip netip.AddrPort, want outcome) {
	b.t.Helper()
	p := s.plain()
	p.Flow.Destination = vip
	if c.packet != nil {
		c.packet(s, &p)
	}
	build := func(p Packet) []byte { return c.frame(s, p) }
	b.check(s, East, build(p), want, want.frame(s, East, p, build))
}

// addressCase has besides what becomes of its packet by lb.RejectNoService, if that is something else.
type addressCase struct {
	packetCase
	rejected outcome
}

// addressCases are packets to the address of a VIP on a network of which the host is a router.
func addressCases(s scene) []addressCase {
	none, whatever := dropped(lb.VIPNoService), outcome{}
	otherPort := func(_ scene, p *Packet) { p.Flow.Destination = withPort(p.Flow.Destination, 81) }
	cases := []addressCase{
		{packetCase{name: "its port", want: dropped(lb.NoReplica)}, whatever},
		{packetCase{name: "later fragment", packet: otherPort, build: later(31), want: dropped(lb.FragmentOrphan)}, whatever},
		{packetCase{name: "malformed", packet: otherPort, bytes: malformedL4, want: dropped(lb.MalformedL4)}, whatever},
		{packetCase{name: "from itself", want: dropped(lb.MartianSource), packet: func(_ scene, p *Packet) {
			p.Flow.Source = withPort(p.Flow.Destination, 40000)
		}}, whatever},
		{packetCase{name: "another port, from itself", want: none, packet: func(s scene, p *Packet) {
			otherPort(s, p)
			p.Flow.Source = withPort(p.Flow.Destination, 40000)
		}}, whatever},
	}
	for _, source := range unanswerable(s) {
		from := from(func(scene) netip.AddrPort { return source })
		cases = append(cases,
			addressCase{packetCase{name: "from " + source.Addr().String(), packet: from, want: dropped(lb.MartianSource)}, whatever},
			addressCase{packetCase{name: "another port, from " + source.Addr().String(), packet: all(otherPort, from), want: none.unless(ofOneLink(source), passed(lb.ForThisHost))}, whatever})
	}
	for _, c := range slices.Concat(portCases(s), segmentCases(s), protocolCases(s)) {
		if c.packet = all(otherPort, orNothing(c.packet)); c.want.reason == "" {
			c.want = none
		}
		cases = append(cases, c)
	}
	return cases
}

// portCases are packets to another port.
func portCases(s scene) []addressCase {
	ack := s.refusal(flagRST, 0x9abcdef0, 0)
	ofFragment := ack
	if isTCP(s) {
		ofFragment = outcome{} // how long the segment is, is not known
	}
	cases := []addressCase{
		{packetCase{name: "another port"}, ack},
		{packetCase{name: "another port, tags", packet: tagged(double...)}, ack},
		{packetCase{name: "another port, ttl 1", packet: ttl(1)}, ack},
		{packetCase{name: "another port, padding", bytes: pad(5)}, ack},
		{packetCase{name: "another port, class", packet: func(_ scene, p *Packet) { p.Class, p.DontFragment, p.ID = 0xb8, true, 7 }}, ack},
		{packetCase{name: "another port, options", only: isV4, packet: all(options(8), tagged(double[0]))}, ack},
		{packetCase{name: "another port, extension headers", only: isV6, packet: extensions(header(0, 8), atomic(3), header(60, 24))}, ack},
		{packetCase{name: "another port, first fragment", build: first(31)}, ofFragment},
		{packetCase{name: "another port, from nowhere", packet: from(elsewhere)}, ack},
	}
	for _, n := range []int{0, 1, 2, 3, 4, 500, 521, 1190, 1400} {
		cases = append(cases, addressCase{packetCase{name: fmt.Sprintf("another port, %d bytes", n), packet: payload(n)}, ack})
	}
	for _, source := range oddHosts(s) {
		from := from(func(scene) netip.AddrPort { return source })
		c := addressCase{packetCase{name: "another port, from the host " + source.Addr().String(), packet: from}, ack}
		if ofOneLink(source) {
			c.want, c.rejected = passed(lb.ForThisHost), outcome{}
		}
		cases = append(cases, c)
	}
	return cases
}

// ofOneLink: the kernel forwards nothing from such an address of IPv6.
func ofOneLink(a netip.AddrPort) bool {
	return slices.Contains([]string{"::1", "ff02::1", "ffff::", "fe80::1"}, a.Addr().String())
}

// segmentCases are TCP segments of 44 bytes from 0x12345678 on, unless they say otherwise.
func segmentCases(s scene) []addressCase {
	const start = 0x12345678
	of := func(name string, flags uint8, acknowledged uint32) addressCase {
		return addressCase{packetCase{name: name, only: isTCP, packet: func(_ scene, p *Packet) { p.Flags = flags }},
			s.refusal(flagRST|flagACK, 0, acknowledged)}
	}
	syn := of("syn without data", flagSYN, start+1)
	syn.packet = all(syn.packet, payload(0))
	late := of("syn at the end of the sequence numbers", flagSYN, 44)
	late.bytes = pokeL4(4, 0xff, 0xff, 0xff, 0xff)
	long := of("syn with tcp options", flagSYN, start+44-8+1)
	long.bytes = pokeL4(12, 7<<4)
	cases := []addressCase{
		syn, late, long,
		of("syn", flagSYN, start+44+1), of("fin", flagFIN, start+44+1), of("syn and fin", flagSYN|flagFIN, start+44+2),
		of("no flag", 0, start+44), of("psh, urg, ece, cwr", 0xe8, start+44),
	}
	for name, flags := range map[string]uint8{"syn and ack": flagSYN | flagACK, "fin and ack": flagFIN | flagACK, "all flags but rst": 0xfb} {
		c := of(name, flags, 0)
		c.rejected = s.refusal(flagRST, 0x9abcdef0, 0)
		cases = append(cases, c)
	}
	for name, flags := range map[string]uint8{"rst": flagRST, "rst and ack": flagRST | flagACK, "rst and syn": flagRST | flagSYN} {
		c := of(name, flags, 0)
		c.rejected = outcome{}
		cases = append(cases, c)
	}
	return cases
}

// protocolCases are packets of no protocol that has services.
func protocolCases(s scene) []addressCase {
	carries := func(protocol packet.Protocol) func(Packet) []byte {
		return func(p Packet) []byte {
			p.Carried = p.segment()
			p.Flow.Protocol = protocol
			return p.Frame()
		}
	}
	unknown, behind, prohibited := complaint(3, 2, 0), complaint(4, 1, 40), complaint(3, 13, 0)
	if !s.v4 {
		unknown, prohibited = complaint(4, 1, 6), complaint(1, 1, 0)
	}
	odd := atomic(4)
	odd.Bytes[1] = 0xff // reserved
	message := func(kind byte) func(Packet) []byte {
		return func(p Packet) []byte { return p.icmp(kind, 0, [4]byte{}, make([]byte, 12)).Frame() }
	}
	echoFragment := func(n int) func(Packet) []byte {
		return func(p Packet) []byte { return echoing(p, 0, "twelve bytes").fragments(4, 16)[n].Frame() }
	}
	cases := []addressCase{
		{packetCase{name: "gre", build: carries(47)}, unknown},
		{packetCase{name: "sctp", build: carries(132)}, unknown},
		{packetCase{name: "sctp, 1000 bytes", packet: payload(1000), build: carries(132)}, unknown},
		{packetCase{name: "sctp, extension header", only: isV6, packet: extensions(header(60, 8)), build: carries(132)}, behind},
		{packetCase{name: "sctp, extension headers", only: isV6, packet: extensions(header(0, 16), odd, header(60, 8)), build: carries(132)}, complaint(4, 1, 64)},
		{packetCase{name: "sctp, first fragment", build: func(p Packet) []byte {
			p.Carried, p.Flow.Protocol = p.segment(), 132
			return p.fragments(4, 16)[0].Frame()
		}}, unknown.unless(!s.v4, behind)},
		{packetCase{name: "nothing carried", build: func(p Packet) []byte {
			p.Carried, p.Flow.Protocol = []byte{}, 47
			return p.Frame()
		}}, unknown},
		{packetCase{name: "icmp of the other family", build: otherICMP}, unknown},
		{packetCase{name: "ah", only: isV6, packet: extensions(header(51, 16))}, unknown},
		{packetCase{name: "ah behind another", only: isV6, packet: extensions(header(60, 8), header(51, 16))}, behind},
		{packetCase{name: "headers 0, 43, 44, 60 in ipv4", only: isV4, build: carries(44)}, unknown},
		{packetCase{name: "segments left", only: isV6, packet: extensions(Extension{43, []byte{0, 0, 4, 1, 0, 0, 0, 0}})}, outcome{}},
		{packetCase{name: "no next header", only: isV6, build: carries(59)}, outcome{}},
		{packetCase{name: "a timestamp request", only: isV4, build: message(13)}, outcome{}},
		{packetCase{name: "a neighbour solicitation", only: isV6, build: message(135)}, outcome{}},
		{packetCase{name: "an echo reply", build: func(p Packet) []byte { return message(echoReply(p))(p) }}, outcome{}},
		{packetCase{name: "an error about nothing", build: message(3)}, outcome{}},
		{packetCase{name: "echo, code 1", build: func(p Packet) []byte { return echoing(p, 1, "twelve bytes").Frame() }}, prohibited},
		{packetCase{name: "echo, options", only: isV4, packet: options(4), build: echo}, prohibited},
		{packetCase{name: "echo, extension header", only: isV6, packet: extensions(header(60, 8)), build: echo}, prohibited},
		{packetCase{name: "echo, first fragment", build: echoFragment(0)}, prohibited},
	}
	if s.v4 {
		cases = append(cases, addressCase{packetCase{name: "echo, later fragment", build: echoFragment(1)}, outcome{}})
	}
	for _, last := range []Extension{header(0, 8), header(43, 8), atomic(3), header(60, 8)} {
		cases = append(cases, addressCase{packetCase{
			name: fmt.Sprintf("too many headers, the last %d", last.Kind), only: isV6,
			packet: extensions(append(slices.Repeat([]Extension{header(60, 8)}, mostExtensions), last)...),
		}, outcome{}})
	}
	return cases
}

// refusal is the outcome of a packet to a port of no service: of TCP a reset, of UDP "port unreachable".
func (s scene) refusal(flags uint8, sequence, acknowledged uint32) outcome {
	if isUDP(s) && s.v4 {
		return complaint(3, 3, 0)
	} else if isUDP(s) {
		return complaint(1, 4, 0)
	}
	return outcome{action: oracle.Transmit, reason: lb.Rejected, answer: func(p Packet, _ []byte) []byte {
		p = backTo(p)
		reset := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, p.Flow.Source.Port()), p.Flow.Destination.Port())
		reset = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(reset, sequence), acknowledged)
		reset = append(reset, 5<<4, flags, 0, 0, 0, 0, 0, 0)
		sum := packet.TransportChecksum(p.Flow.Source.Addr(), p.Flow.Destination.Addr(), packet.TCP, reset)
		binary.BigEndian.PutUint16(reset[16:], sum)
		p.Carried = reset
		return p.Frame()
	}}
}

// complaint is the outcome of a packet whose sender gets an ICMP error, which quotes as much of it as there is room for.
func complaint(kind, code, rest byte) outcome {
	return outcome{action: oracle.Transmit, reason: lb.Rejected, answer: func(p Packet, frame []byte) []byte {
		ip := frame[ethernet+4*len(p.Tags):]
		p = backTo(p)
		length, most := 40+int(binary.BigEndian.Uint16(ip[4:])), 1280-40-8
		if p.Flow.Source.Addr().Is4() {
			length, most, p.Class = int(binary.BigEndian.Uint16(ip[2:])), 576-20-8, 0xc0
		}
		return p.icmp(kind, code, [4]byte{3: rest}, ip[:min(length, most)]).Frame()
	}}
}

// backTo is an empty packet to the sender of another one.
func backTo(p Packet) Packet {
	return Packet{Flow: p.Flow.Reverse(), TTL: 64, Source: p.Destination, Destination: p.Source, Tags: p.Tags}
}
