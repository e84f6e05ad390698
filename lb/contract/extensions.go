package contract

import (
	"bytes"
	"fmt"
	"slices"

	"lbctl/lb"
	"lbctl/lb/oracle"
)

// mostExtensions is the number of extension headers that are skipped at most.
const mostExtensions = 6

// extensions gives an IPv6 packet these headers.
func extensions(headers ...Extension) func(scene, *Packet) {
	return func(_ scene, p *Packet) { p.Extensions = headers }
}

// header is an extension header of options, or of routing with no segments left, n bytes long.
func header(kind byte, n int) Extension {
	b := make([]byte, n)
	b[1] = byte(n/8 - 1)
	if kind != 43 {
		b[2], b[3] = 1, byte(min(n-4, 255)) // PadN
	}
	return Extension{kind, b}
}

// atomic is a fragment header of a packet that is whole.
func atomic(id uint32) Extension { return Fragment{ID: id}.extension() }

// extensionCases are IPv6 packets with extension headers.
func extensionCases() []packetCase {
	west, beyond, bad := sentTo(plain, West), passed(lb.IPv6Extension), dropped(lb.MalformedIP)
	odd := atomic(7)
	odd.Bytes[1], odd.Bytes[3] = 0xff, 0x06 // reserved bits
	routed, left := header(43, 24), header(43, 24)
	routed.Bytes[2], left.Bytes[2], left.Bytes[3] = 4, 4, 1 // segment routing
	chain := []Extension{header(0, 8), header(60, 16), header(43, 8), atomic(9), header(60, 24), header(0, 8)}
	cases := []packetCase{
		{name: "every kind", packet: extensions(chain...), want: west},
		{name: "every kind, back by the ingress", ingress: West, packet: all(extensions(chain...), tagged(double...)), want: west.by(oracle.Transmit)},
		{name: "every kind, answer", only: isNAT, ingress: West, packet: all(answer, extensions(chain...)), want: returnedTo(East)},
		{name: "every kind, not ours", packet: all(extensions(chain...), to(99)), want: passed(lb.NotOurs)},
		{name: "one header too many", packet: extensions(append(chain[:6:6], header(60, 8))...), want: beyond},
		{name: "one fragment header too many", packet: extensions(slices.Concat(chain[:3], chain[4:], chain[4:5], chain[3:4])...), want: beyond},
		{name: "two fragment headers", packet: extensions(atomic(1), atomic(1)), want: beyond},
		{name: "atomic fragment", packet: extensions(atomic(0xfedcba98)), want: west},
		{name: "atomic fragment, reserved bits", packet: extensions(odd), want: west},
		{name: "segments routed", packet: extensions(routed), want: west},
		{name: "segments left", packet: extensions(left), want: beyond},
		{name: "segments left, cut short", packet: extensions(left), bytes: ipBehind(23), want: bad},
		{name: "no next header behind one", packet: extensions(header(60, 8)), bytes: pokeIP(40, 59), want: passed(lb.NotTCPUDP)},
		{name: "icmp of ipv4 behind one", packet: extensions(header(60, 8)), bytes: pokeIP(40, 1), want: passed(lb.NotTCPUDP)},
		{name: "a number nobody knows behind one", packet: extensions(header(60, 8)), bytes: pokeIP(40, 253), want: passed(lb.NotTCPUDP)},
		{name: "a long header", packet: all(payload(0), extensions(header(60, 1024))), want: west},
		{name: "a header longer than the packet", packet: extensions(header(60, 8)), bytes: pokeIP(41, 255), want: bad},
	}
	for _, kind := range []byte{0, 43, 60} {
		for _, n := range []int{8, 16, 64} {
			cases = append(cases, packetCase{name: fmt.Sprintf("header %d of %d bytes", kind, n), packet: extensions(header(kind, n)), want: west})
		}
	}
	for _, kind := range []byte{51, 135, 139, 140} {
		cases = append(cases,
			packetCase{name: fmt.Sprintf("header %d", kind), packet: extensions(header(kind, 16)), want: beyond},
			packetCase{name: fmt.Sprintf("header %d behind another", kind), packet: extensions(header(60, 8), header(kind, 16)), want: beyond},
			packetCase{name: fmt.Sprintf("header %d, none of its bytes", kind), bytes: then(pokeIP(6, kind), ipBehind(0)), want: beyond})
	}
	return slices.Concat(cases, chainCases(), chainCuts())
}

// chainCases have one header, two, and so on to one too many, of which the last is a fragment
// header or not.
func chainCases() (cases []packetCase) {
	for n := 1; n <= mostExtensions+2; n++ {
		want := sentTo(plain, West)
		if n > mostExtensions {
			want = passed(lb.IPv6Extension)
		}
		chain := slices.Repeat([]Extension{header(60, 8)}, n)
		cases = append(cases, packetCase{name: fmt.Sprintf("%d headers", n), packet: extensions(chain...), want: want},
			packetCase{name: fmt.Sprintf("%d headers and a fragment header", n-1), packet: extensions(append(chain[:n-1:n-1], atomic(5))...), want: want})
	}
	return cases
}

// chainCuts end a packet with two headers after each of its bytes.
func chainCuts() (cases []packetCase) {
	for kind, second := range map[string]Extension{"options": header(60, 16), "a fragment header": atomic(3)} {
		length := 8 + len(second.Bytes)
		for n := range length + 8 {
			want := dropped(lb.MalformedIP)
			if n >= length {
				want = dropped(lb.MalformedL4)
			}
			cases = append(cases, packetCase{
				name:   fmt.Sprintf("%d of the bytes of headers, then %s", n, kind),
				packet: extensions(header(0, 8), second), bytes: ipBehind(n), want: want,
			})
		}
	}
	return cases
}

// ipBehind writes IPv6's payload length.
func ipBehind(n int) func(scene, []byte) []byte { return pokeIP(4, byte(n>>8), byte(n)) }

// double are as many tags as are skipped at most.
var double = []Tag{{0x88a8, 0xe123}, {0x8100, 0x3fff}}

// tagged puts tags before the packet.
func tagged(tags ...Tag) func(scene, *Packet) {
	return func(_ scene, p *Packet) { p.Tags = tags }
}

// tagCases are packets with VLAN tags: they stay with a packet that leaves by the link that it came on.
func tagCases(s scene) []packetCase {
	west, back := sentTo(plain, West), sentTo(plain, West).by(oracle.Transmit)
	triple := append(double[:2:2], Tag{0x8100, 7})
	cases := []packetCase{
		{name: "arp with a tag", packet: tagged(double[1]), bytes: poke(16, 0x08, 0x06), want: passed(lb.NotIP)},
		{name: "length with a tag", packet: tagged(double[1]), bytes: poke(16, 0x00, 0x2e), want: passed(lb.NotIP)},
		{name: "three tags", packet: tagged(triple...), want: passed(lb.VLANTagged)},
		{name: "three tags of a provider", packet: tagged(double[0], double[0], double[0]), want: passed(lb.VLANTagged)},
		{name: "other ethertype of tags", packet: tagged(Tag{0x9100, 7}), want: passed(lb.NotIP)},
		{name: "tags, no replica", packet: all(tagged(double...), to(empty)), want: dropped(lb.NoReplica)},
		{name: "tags, not ours", packet: all(tagged(double...), to(99)), want: passed(lb.NotOurs)},
		{name: "tags, neighbour unknown", packet: all(tagged(double...), to(unresolved)), want: s.waiting(unresolved)},
		{name: "tags, ttl 1", packet: all(tagged(double...), ttl(1)), want: s.mortal(west)},
		{name: "tags, full frame", packet: all(tagged(double...), filling(1500, 0)), want: west},
		{name: "answer with tags", only: isNAT, ingress: West, packet: all(answer, tagged(double...)), want: returnedTo(East)},
		{name: "answer with tags by the ingress", only: isNAT, packet: all(answer, tagged(double...)), want: returnedTo(East).by(oracle.Transmit)},
		{name: "third tag cut short", packet: tagged(triple...), bytes: cutAt(ethernet + 8), want: passed(lb.VLANTagged)},
	}
	for name, tags := range map[string][]Tag{
		"802.1q": {{0x8100, 5}}, "802.1ad": {{0x88a8, 5}}, "priority": {{0x8100, 0xe000}},
		"802.1q in 802.1ad": double, "802.1ad in 802.1q": {{0x8100, 1}, {0x88a8, 2}}, "802.1q twice": {{0x8100, 1}, {0x8100, 1}},
	} {
		cases = append(cases,
			packetCase{name: name, packet: tagged(tags...), want: west},
			packetCase{name: name + ", back by the ingress", ingress: West, packet: tagged(tags...), want: back})
		for n := 12; n < ethernet+4*len(tags); n++ {
			cases = append(cases, packetCase{name: name + ", cut short", packet: tagged(tags...), bytes: cutAt(n), want: dropped(lb.MalformedEthernet)})
		}
	}
	return cases
}

// cutAt leaves the first n bytes of the frame.
func cutAt(n int) func(scene, []byte) []byte {
	return func(_ scene, frame []byte) []byte { return frame[:n] }
}

// pad puts n bytes behind the IP packet.
func pad(n int) func(scene, []byte) []byte {
	return func(_ scene, frame []byte) []byte {
		for i := range n {
			frame = append(frame, byte(i+1))
		}
		return frame
	}
}

// options gives the packet n bytes of IPv4 options.
func options(n int) func(scene, *Packet) {
	return func(_ scene, p *Packet) { p.Options = bytes.Repeat([]byte{1}, n) } // no operation
}

// optionCases are IPv4 packets with options. They are skipped, whatever they are.
func optionCases() []packetCase {
	west, bad := sentTo(plain, West), dropped(lb.MalformedIP)
	cases := []packetCase{
		{name: "options, back by the ingress", ingress: West, packet: options(8), want: west.by(oracle.Transmit)},
		{name: "options that make no sense", packet: func(_ scene, p *Packet) { p.Options = bytes.Repeat([]byte{0x83, 0xff}, 20) }, want: west},
		{name: "a source route", packet: func(_ scene, p *Packet) { p.Options = []byte{0x89, 7, 4, 10, 9, 9, 9, 0} }, want: west},
		{name: "router alert", packet: func(_ scene, p *Packet) { p.Options = []byte{0x94, 4, 0, 0} }, want: west},
		{name: "options, answer", only: isNAT, packet: all(answer, options(12)), ingress: West, want: returnedTo(East)},
		{name: "options, not ours", packet: all(options(12), to(99)), want: passed(lb.NotOurs)},
		{name: "options, tags", packet: all(options(12), tagged(double...)), want: west},
		{name: "options, of another protocol", packet: options(12), bytes: pokeIP(9, 2), want: passed(lb.NotTCPUDP)},
		{name: "options, fragment without its first", packet: options(12), bytes: pokeIP(6, 0, 3), want: dropped(lb.FragmentOrphan)},
		{name: "options, no bytes behind them", packet: options(12), bytes: pokeIP(2, 0, 32), want: dropped(lb.MalformedL4)},
		{name: "options cut short", packet: options(12), bytes: pokeIP(2, 0, 31), want: bad},
		{name: "options past the frame", packet: options(12), bytes: cutAt(ethernet + 31), want: bad},
	}
	for words := 1; words <= 10; words++ {
		cases = append(cases, packetCase{name: fmt.Sprintf("ihl %d", 5+words), packet: options(4 * words), want: west})
	}
	return cases
}
