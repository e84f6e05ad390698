package contract

import (
	"slices"
	"testing"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// testFragments sends fragments of few packets in all orders, one after the other: what the first one of a
// packet says is remembered.
func testFragments(t *testing.T, open func(t *testing.T) Harness) {
	for _, s := range allScenes() {
		t.Run(s.name(), func(t *testing.T) {
			b := newFixture(t, open)
			b.set(s.services()...)
			for _, c := range slices.Concat(orderCases(s), keyCases(s), firstCases(s), onlyFor(isNAT, fragmentReturnCases(s)), onlyFor(isV6, fragmentHeaderCases())) {
				if c.only == nil || c.only(s) {
					t.Run(c.name, func(t *testing.T) { fixture{b.Harness, t}.run(s, c) })
				}
			}
		})
	}
	t.Run("another flow", func(t *testing.T) { testFragmentReused(newFixture(t, open)) })
	t.Run("service gone", func(t *testing.T) { testFragmentService(newFixture(t, open)) })
}

// part builds fragment i of a packet that is cut at these offsets.
func part(i int, id uint32, at ...int) func(Packet) []byte {
	return func(p Packet) []byte { return p.fragments(id, at...)[i].Frame() }
}

// first and later are the two fragments of a packet.
func first(id uint32) func(Packet) []byte { return part(0, id, 24) }
func later(id uint32) func(Packet) []byte { return part(1, id, 24) }

// fragmentOf makes a packet one of its two fragments.
func fragmentOf(i int, id uint32) func(*Packet) {
	return func(p *Packet) {
		p.Payload = make([]byte, 40)
		*p = p.fragments(id, 24)[i]
	}
}

// orderCases are fragments in order and out of order.
func orderCases(s scene) []packetCase {
	west, orphan := sentTo(plain, West), dropped(lb.FragmentOrphan)
	return []packetCase{
		{name: "later, before its first", build: later(1), want: orphan},
		{name: "first", build: first(1), want: west},
		{name: "later", build: later(1), want: west},
		{name: "later again", build: later(1), want: west},
		{name: "middle", build: part(1, 1, 24, 40), want: west},
		{name: "last, of one byte", packet: payload(57 - s.headers() + s.ipHeader()), build: part(1, 1, 56), want: west},
		{name: "first again", build: first(1), want: west},
		{name: "later by the ingress, tags", ingress: West, packet: tagged(double...), build: later(1), want: west.by(oracle.Transmit)},
		{name: "later, tags", packet: tagged(double...), build: later(1), want: west},
		{name: "later, padding", build: later(1), bytes: pad(8), want: west},
		{name: "later, ttl 1", packet: ttl(1), build: later(1), want: s.mortal(west)},
		{name: "later, full frame", packet: payload(3000), build: part(1, 1, 24, 24+s.mostIn(1500)), want: west},
		{name: "later, too long", packet: all(payload(3000), dontFragment), build: part(1, 1, 24, 1600), want: dropped(lb.TooBig)},
		{name: "first, ttl 1", packet: ttl(1), build: first(2), want: s.mortal(west)},
		{name: "later of one that expired", build: later(2), want: west},
		{name: "first, no replica", packet: to(empty), build: first(1), want: dropped(lb.NoReplica)},
		{name: "later, no replica", packet: to(empty), build: later(1), want: dropped(lb.NoReplica)},
		{name: "first, neighbour unknown", packet: to(unresolved), build: first(1), want: s.waiting(unresolved)},
		{name: "later, neighbour unknown", packet: to(unresolved), build: later(1), want: s.waiting(unresolved)},
		{name: "first, hairpin", only: sameFamily, packet: to(mirror), build: first(1), want: dropped(lb.Hairpin)},
		{name: "later, hairpin", only: sameFamily, packet: to(mirror), build: later(1), want: dropped(lb.Hairpin)},
		{name: "first, options", only: isV4, packet: options(8), build: first(3), want: west},
		{name: "later, options", only: isV4, packet: options(8), build: later(3), want: west},
		{name: "later, no options", only: isV4, build: later(3), want: west},
		{name: "first, headers before it", only: isV6, packet: extensions(header(60, 16)), build: first(3), want: west},
		{name: "later, headers before it", only: isV6, packet: extensions(header(60, 16)), build: later(3), want: west},
		{name: "later, no headers before it", only: isV6, build: later(3), want: west},
	}
}

// mostIn is what a fragment can carry at most on a route of that MTU, a multiple of 8.
func (s scene) mostIn(mtu int) int {
	header := s.ipHeader()
	if !s.v4 {
		header += 8
	}
	return (mtu - s.overhead() - header) / 8 * 8
}

// keyCases differ from the fragments of orderCases, all of which are known, in one thing.
func keyCases(s scene) []packetCase {
	west, orphan := sentTo(plain, West), dropped(lb.FragmentOrphan)
	otherProtocol := func(_ scene, p *Packet) {
		p.Carried = p.segment()
		p.Flow.Protocol = packet.TCP + packet.UDP - p.Flow.Protocol
	}
	return []packetCase{
		{name: "later of another id", build: later(99), want: orphan},
		{name: "later of an id with swapped bytes", build: later(0x0100), want: orphan},
		{name: "later of an id with higher bits", only: isV6, build: later(0x10001), want: orphan},
		{name: "later from another host", packet: from(elsewhere), build: later(1), want: orphan},
		{name: "later to another vip", packet: to(small), build: later(1), want: orphan},
		{name: "later to nobody", packet: to(99), build: later(1), want: passed(lb.NotOurs)},
		{name: "later from another port", packet: func(_ scene, p *Packet) { p.Flow.Source = withPort(p.Flow.Source, 7) },
			build: later(1), want: west, only: func(s scene) bool { return s.mode != lb.IPIP || s.replicas.v4 && s.outer == outer{} }},
		{name: "later of another protocol", only: isV4, packet: otherProtocol, build: later(1), want: orphan},
		{name: "later that names another protocol", only: isV6, packet: otherProtocol, build: later(1), want: west},
	}
}

// firstCases are first fragments that are not kept, each with a later one.
func firstCases(s scene) []packetCase {
	west, orphan, bad := sentTo(plain, West), dropped(lb.FragmentOrphan), dropped(lb.MalformedL4)
	elsewherePort := func(_ scene, p *Packet) { p.Flow.Destination = withPort(p.Flow.Destination, 81) }
	big := all(payload(3000), dontFragment)
	return []packetCase{
		{name: "first to nobody's port", packet: elsewherePort, build: first(10), want: passed(lb.NotOurs)},
		{name: "later to nobody's port", packet: elsewherePort, build: later(10), want: orphan},
		{name: "first, 8 bytes of tcp", only: isTCP, build: part(0, 11, 8), want: bad},
		{name: "first, 8 bytes of tcp, to nobody", only: isTCP, packet: to(99), build: part(0, 11, 8), want: passed(lb.NotOurs)},
		{name: "first, 16 bytes of tcp", only: isTCP, build: part(0, 11, 16), want: bad},
		{name: "later of a tiny one", only: isTCP, build: part(1, 11, 16), want: orphan},
		{name: "first, data offset past its end", only: isTCP, build: first(11), bytes: pokeFragment(s, 12, 0x70), want: bad},
		{name: "later of a wrong one", only: isTCP, build: later(11), want: orphan},
		{name: "first, 8 bytes of udp", only: isUDP, build: part(0, 11, 8), want: west},
		{name: "later of 8 bytes of udp", only: isUDP, build: part(1, 11, 8), want: west},
		{name: "first, udp length 7", only: isUDP, build: first(12), bytes: pokeFragment(s, 4, 0, 7), want: bad},
		{name: "later of udp length 7", only: isUDP, build: later(12), want: orphan},
		{name: "first, no udp checksum", only: isUDP, build: first(13), bytes: pokeFragment(s, 6, 0, 0), want: west},
		{name: "first, too long", packet: payload(3000), build: part(0, 14, 1600), want: s.told(1500).unless(s.v4 && s.mode == lb.NAT, cut(plain))},
		{name: "first, too long, not to be fragmented", packet: big, build: part(0, 14, 1600), want: s.told(1500)},
		{name: "later of one that was too long", packet: big, build: part(1, 14, 1600, 1616), want: west},
	}
}

// pokeFragment writes bytes at an offset of what a fragment carries.
func pokeFragment(s scene, at int, bytes ...byte) func(scene, []byte) []byte {
	if s.v4 {
		return pokeL4(at, bytes...)
	}
	return pokeL4(8+at, bytes...)
}

// fragmentReturnCases are fragments of a replica's answer.
func fragmentReturnCases(s scene) []packetCase {
	readdressed := returnedTo("").by(oracle.Pass).as(lb.NeighbourMissing)
	return onWest([]packetCase{
		{name: "answer, later before its first", packet: answer, build: later(1), want: passed(lb.NotOurs)},
		{name: "answer, first", packet: answer, build: first(1), want: returnedTo(East)},
		{name: "answer, later", packet: answer, build: later(1), want: returnedTo(East)},
		{name: "answer, later by the ingress", ingress: East, packet: all(answer, tagged(double...)), build: later(1), want: returnedTo(East).by(oracle.Transmit)},
		{name: "answer, later, ttl 1", packet: all(answer, ttl(1)), build: later(1), want: passed(lb.TTLExpired)},
		{name: "answer, first, neighbour unknown", packet: answerTo(East, unknown), build: first(1), want: readdressed},
		{name: "answer, later, neighbour unknown", packet: answerTo(East, unknown), build: later(1), want: readdressed},
		{name: "answer, first, 8 bytes of tcp", only: isTCP, packet: answer, build: part(0, 2, 8), want: dropped(lb.MalformedL4)},
		{name: "answer, first, no route", packet: answerNowhere, build: first(1), want: passed(lb.ForThisHost)},
		{name: "answer, later, no route", packet: answerNowhere, build: later(1), want: passed(lb.ForThisHost)},
		{name: "answer to us, first", packet: answerToUs(East), build: first(1), want: passed(lb.ForThisHost)},
		{name: "answer to us, later", packet: answerToUs(East), build: later(1), want: passed(lb.ForThisHost)},
		{name: "answer, first, to narrow", packet: answerTo(Narrow, 1), build: first(1), want: returnedTo(Narrow)},
		{name: "answer, later, too long to narrow", packet: all(answerTo(Narrow, 1), payload(2000)), build: later(1), want: dropped(lb.TooBig).unless(s.v4, returnedTo("").by(oracle.Pass).as(lb.TooBigPassed))},
		{name: "to the vip, first", ingress: East, build: first(40), want: sentTo(plain, West)},
		{name: "returned error about the later one", packet: answer, build: quote{quoted: fragmentOf(1, 40)}.build, want: returnedTo(East).as(lb.ErrorReturned)},
		{name: "returned error about a later one of another", packet: answer, build: quote{quoted: fragmentOf(1, 41)}.build, want: passed(lb.NotTCPUDP)},
		{name: "answer, first of another", packet: answer, build: first(42), want: returnedTo(East)},
		{name: "error about the later one", ingress: East, build: quote{quoted: fragmentOf(1, 42)}.build, want: sentTo(plain, West).as(lb.ErrorForwarded)},
	})
}

// fragmentHeaderCases change the fragment header, or put it among others.
func fragmentHeaderCases() []packetCase {
	west, orphan, none := sentTo(plain, West), dropped(lb.FragmentOrphan), passed(lb.NotTCPUDP)
	echoPart := func(i int) func(Packet) []byte {
		return func(p Packet) []byte { return echoing(p, 0, "sixteen bytes ok").fragments(21, 16)[i].Frame() }
	}
	cases := []packetCase{
		{name: "atomic", packet: extensions(atomic(20)), want: west},
		{name: "later of an atomic one", build: later(20), want: orphan},
		{name: "first of icmpv6", build: echoPart(0), want: none},
		{name: "later of icmpv6", build: echoPart(1), want: orphan},
		{name: "first, then headers", build: withHeader(0), want: west},
		{name: "later, then the rest", build: withHeader(1), want: west},
		{name: "first, then headers that are cut short", build: first(22), bytes: then(pokeIP(40, 60), pokeIP(48, 6, 5)), want: dropped(lb.MalformedIP)},
		{name: "later in a second fragment header", packet: extensions(atomic(1)), build: later(1), want: passed(lb.IPv6Extension)},
		{name: "first, reserved bits", build: first(23), bytes: then(pokeIP(41, 0xff), pokeIP(43, 7)), want: west},
		{name: "later of reserved bits", build: later(23), want: west},
		{name: "later, seventh header", packet: extensions(slices.Repeat([]Extension{header(60, 8)}, 6)...), build: later(1), want: passed(lb.IPv6Extension)},
		{name: "later, sixth header", packet: extensions(slices.Repeat([]Extension{header(60, 8)}, 5)...), build: later(1), want: west},
		{name: "later, nothing behind its header", build: later(1), bytes: ipBehind(8), want: west},
		{name: "later, its header cut short", build: later(1), bytes: ipBehind(7), want: dropped(lb.MalformedIP)},
	}
	for _, kind := range []byte{0, 43, 44, 50, 51, 58, 59, 60, 135, 253} { // nobody reads on
		cases = append(cases, packetCase{name: "later, then header " + packet.Protocol(kind).String(), build: later(1), bytes: pokeIP(40, kind), want: west})
	}
	return cases
}

// withHeader builds a fragment of a packet in which a header of options is behind the fragment header.
func withHeader(i int) func(Packet) []byte {
	return func(p Packet) []byte {
		p.Carried = append([]byte{byte(p.Flow.Protocol), 0, 1, 4, 0, 0, 0, 0}, p.segment()...)
		frame := p.fragments(24, 32)[i].Frame()
		frame[ethernet+40] = 60
		return frame
	}
}
