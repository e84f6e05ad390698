package contract

import (
	"fmt"
	"slices"

	"lbctl/lb"
	"lbctl/lb/oracle"
)

// mostExtensions is how many extension headers are looked behind.
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
