package contract

import (
	"net/netip"

	"lbctl/lb"
)

// quote builds an ICMP error to the destination of a packet's flow. It quotes a packet of the
// flow that runs the other way. The zero value is a destination unreachable of a router, which quotes everything.
type quote struct {
	// kind and code are those of ICMP.
	kind, code byte
	// bytes is how much is quoted, 0 everything; nothing quotes none.
	bytes   int
	nothing bool
	// from is who sends the error, if not a router on East.
	from func(p Packet) netip.Addr
	// quoted changes the quoted packet, body the bytes that are quoted.
	quoted func(p *Packet)
	body   func(b []byte)
}

func (q quote) build(p Packet) []byte {
	quoted := Packet{
		Flow: p.Flow.Reverse(), TTL: 61, ID: 0x4711, DontFragment: true, Flags: 0x10, Payload: []byte("as it was sent"),
	}
	if q.quoted != nil {
		q.quoted(&quoted)
	}
	f, from := familyOf(p.Flow.Source.Addr()), q.from
	if from == nil {
		from = func(Packet) netip.Addr { return f.on(East, 9, 0).Addr() }
	}
	kind := q.kind
	if kind == 0 {
		kind = f.errorTypes()[0]
	}
	body := quoted.ip()
	if q.bytes > 0 || q.nothing {
		body = body[:q.bytes]
	}
	if q.body != nil {
		q.body(body)
	}
	p.Flow.Source = netip.AddrPortFrom(from(p), 0)
	return p.icmp(kind, q.code, [4]byte{0, 0, 0x05, 0xdc}, body).Frame()
}

// errorTypes are the types of ICMP that quote a packet that did not get through, destination unreachable first.
func (f family) errorTypes() []byte {
	if f.v4 {
		return []byte{3, 4, 11, 12}
	}
	return []byte{1, 2, 3, 4}
}

// sender is the source of the packet that the error answers.
func sender(p Packet) netip.Addr { return p.Flow.Source.Addr() }

// quotedBytes writes bytes at an offset of what is quoted.
func quotedBytes(at int, bytes ...byte) func([]byte) {
	return func(b []byte) { copy(b[at:], bytes) }
}

// long makes the quoted packet so long that the error has n bytes.
func (s scene) long(n int) func(*Packet) {
	return func(p *Packet) { p.Payload = make([]byte, n-s.ipHeader()-8-s.headers()) }
}

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
			want:   dropped(lb.MartianSource),
		})
	}
	for _, source := range oddHosts(s) {
		cases = append(cases, packetCase{
			name:   "too long, from the host " + source.Addr().String(),
			packet: all(to(small), dontFragment, filling(1280, -1), from(func(scene) netip.AddrPort { return source })), want: tell,
		})
	}
	return append(cases, onlyFor(isNAT, onWest([]packetCase{
		{name: "answer, too long", packet: all(answerTo(Narrow, 1), ipLength(1281)), want: s.tooBig(1280)},
		{name: "answer, too long, not to be fragmented", packet: all(answerTo(Narrow, 1), dontFragment, ipLength(1281)), want: told(1280)},
		{name: "answer, too long, neighbour unknown", packet: all(answerTo(Narrow, unknown), dontFragment, ipLength(1281)), want: told(1280)},
		{name: "answer, too long, ttl 1", packet: all(answerTo(Narrow, 1), dontFragment, ipLength(1281), ttl(1)), want: passed(lb.TTLExpired)},
	}))...)
}

// unanswerable are sources that are no single host: they get no answers.
func unanswerable(s scene) []netip.AddrPort {
	if s.v4 {
		return ends("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.0.9", "224.0.0.1", "239.255.255.255", "255.255.255.255")
	}
	return ends("::", "::1", "ff02::1", "ffff::", "::ffff:127.0.0.1")
}

// oddHosts are sources that look like one of these and are a host all the same.
func oddHosts(s scene) []netip.AddrPort {
	if s.v4 {
		return ends("240.0.0.1", "223.255.255.255")
	}
	return ends("64:ff9b::1", "fe80::1", "::2")
}

// ends returns addresses with a port.
func ends(addresses ...string) (all []netip.AddrPort) {
	for _, a := range addresses {
		all = append(all, netip.AddrPortFrom(netip.MustParseAddr(a), 40000))
	}
	return all
}

// elsewhere is a host to which no route leads.
func elsewhere(s scene) netip.AddrPort { return s.off(9, 9) }
