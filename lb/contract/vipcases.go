package contract

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"lbctl/lb"
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
// them they are dropped: they would come back. What is to an address of the host goes up.
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
				for _, to := range []struct {
					name string
					vip  netip.AddrPort
					want outcome
				}{{"a vip that the kernel forwards to", forwarded, c.want}, {"a vip of the host", own, passed(lb.ForThisHost)}} {
					if c.want.reason == lb.MartianSource || c.want.reason == lb.NoReplica || c.want.reason == lb.MalformedL4 {
						to.want = c.want
					}
					t.Run(c.name+" to "+to.name, func(t *testing.T) {
						p := s.plain()
						p.Flow.Destination = to.vip
						if c.packet != nil {
							c.packet(s, &p)
						}
						frame := c.frame(s, p)
						fixture{b.Harness, t}.check(s, East, frame, to.want, frame)
					})
				}
			}
		})
	}
}

// addressCases are packets to the address of a VIP on a network of which the host is a router.
func addressCases(s scene) []packetCase {
	none := dropped(lb.VIPNoService)
	otherPort := func(_ scene, p *Packet) { p.Flow.Destination = withPort(p.Flow.Destination, 81) }
	carries := func(protocol packet.Protocol) func(Packet) []byte {
		return func(p Packet) []byte {
			p.Carried = p.segment()
			p.Flow.Protocol = protocol
			return p.Frame()
		}
	}
	cases := []packetCase{
		{name: "its port", want: dropped(lb.NoReplica)},
		{name: "another port", packet: otherPort, want: none},
		{name: "another port, tags", packet: all(otherPort, tagged(double...)), want: none},
		{name: "another port, ttl 1", packet: all(otherPort, ttl(1)), want: none},
		{name: "another port, options", only: isV4, packet: all(otherPort, options(8)), want: none},
		{name: "another port, first fragment", packet: otherPort, build: first(31), want: none},
		{name: "another port, later fragment", packet: otherPort, build: later(31), want: dropped(lb.FragmentOrphan)},
		{name: "another port, malformed", packet: otherPort, bytes: pokeL4(4, 0, 0), only: isUDP, want: dropped(lb.MalformedL4)},
		{name: "gre", build: carries(47), want: none},
		{name: "sctp", build: carries(132), want: none},
		{name: "ah", only: isV6, packet: extensions(header(51, 16)), want: none},
		{name: "a timestamp request", only: isV4, build: func(p Packet) []byte { return p.icmp(13, 0, [4]byte{}, make([]byte, 12)).Frame() }, want: none},
		{name: "an error about nothing", build: func(p Packet) []byte { return p.icmp(3, 1, [4]byte{}, nil).Frame() }, want: none},
		{name: "echo, options", only: isV4, packet: options(4), build: echo, want: none},
		{name: "echo, extension header", only: isV6, packet: extensions(header(60, 8)), build: echo, want: none},
		{name: "echo, first fragment", build: func(p Packet) []byte { return echoing(p, 0, "twelve bytes").fragments(4, 16)[0].Frame() }, want: none},
		{name: "echo, later fragment", only: isV4, build: func(p Packet) []byte { return echoing(p, 0, "twelve bytes").fragments(4, 16)[1].Frame() }, want: none},
	}
	for _, source := range unanswerable(s) {
		from := from(func(scene) netip.AddrPort { return source })
		cases = append(cases, packetCase{name: "from " + source.Addr().String(), packet: from, want: dropped(lb.MartianSource)})
	}
	return append(cases, packetCase{name: "from itself", want: dropped(lb.MartianSource), packet: func(_ scene, p *Packet) {
		p.Flow.Source = withPort(p.Flow.Destination, 40000)
	}})
}
