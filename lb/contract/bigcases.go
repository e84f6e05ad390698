package contract

import (
	"net/netip"

	"lbctl/lb"
)

// bigCases are packets that are longer than the MTU of their route.
func bigCases(s scene) []packetCase {
	tell := told(1280 - s.overhead())
	cases := []packetCase{
		{name: "longer than the mtu", packet: filling(1500, -1), want: s.tooBig(1500)},
		{name: "longer than the mtu, not to be fragmented", packet: all(dontFragment, filling(1500, -1)), want: told(1500 - s.overhead())},
		{name: "too long", packet: all(to(small), filling(1280, -1)), want: s.tooBig(1280)},
		{name: "too long, not to be fragmented", packet: all(to(small), dontFragment, filling(1280, -1)), want: tell},
		{name: "not to be fragmented, fits", packet: all(to(small), dontFragment, filling(1280, 0)), want: sentTo(small, Narrow)},
		{name: "too long, ttl 1", packet: all(to(small), dontFragment, filling(1280, -1), ttl(1)), want: s.mortal(tell)},
		{name: "too long, neighbour unknown", packet: all(to(smallUnresolved), dontFragment, filling(1280, -1)), want: tell},
		{name: "too long, from another link", ingress: Narrow, packet: all(to(small), dontFragment, filling(1280, -1)), want: tell},
		{name: "too long, with tags", packet: all(to(small), dontFragment, filling(1280, -1), tagged(double...)), want: tell},
		{name: "too long, padding", packet: all(to(small), dontFragment, filling(1280, -1)), bytes: pad(9), want: tell},
		{name: "too long, from nowhere", packet: all(to(small), dontFragment, filling(1280, -1), from(elsewhere)), want: tell},
		{name: "too long, ipv4 options", only: isV4, packet: all(to(small), dontFragment, filling(1280, -1), options(40)), want: tell},
		{name: "too long, extension headers", only: isV6, packet: all(to(small), filling(1280, -1), extensions(header(60, 64))), want: tell},
	}
	for _, source := range unanswerable(s) {
		cases = append(cases, packetCase{
			name:   "too long, from " + source.Addr().String(),
			packet: all(to(small), dontFragment, filling(1280, -1), from(func(scene) netip.AddrPort { return source })),
			want:   dropped(lb.TooBig),
		})
	}
	return append(cases, onlyFor(isNAT, onWest([]packetCase{
		{name: "answer, too long", packet: all(answerTo(Narrow, 1), ipLength(1281)), want: s.tooBig(1280)},
		{name: "answer, too long, not to be fragmented", packet: all(answerTo(Narrow, 1), dontFragment, ipLength(1281)), want: told(1280)},
		{name: "answer, too long, neighbour unknown", packet: all(answerTo(Narrow, unknown), dontFragment, ipLength(1281)), want: told(1280)},
		{name: "answer, too long, ttl 1", packet: all(answerTo(Narrow, 1), dontFragment, ipLength(1281), ttl(1)), want: passed(lb.TTLExpired)},
	}))...)
}

// unanswerable are sources that are no single host: nobody is told anything there.
func unanswerable(s scene) []netip.AddrPort {
	var sources []netip.AddrPort
	names := []string{"::", "::1", "ff02::1", "ffff::"}
	if s.v4 {
		names = []string{"0.0.0.0", "127.0.0.1", "127.255.0.9", "224.0.0.1", "239.255.255.255", "255.255.255.255"}
	}
	for _, name := range names {
		sources = append(sources, netip.AddrPortFrom(netip.MustParseAddr(name), 40000))
	}
	return sources
}

// elsewhere is a host to which no route leads.
func elsewhere(s scene) netip.AddrPort { return s.off(9, 9) }
