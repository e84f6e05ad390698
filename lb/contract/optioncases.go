package contract

import (
	"bytes"
	"fmt"

	"lbctl/lb"
	"lbctl/lb/oracle"
)

// options gives the packet n bytes of IPv4 options.
func options(n int) func(scene, *Packet) {
	return func(_ scene, p *Packet) { p.Options = bytes.Repeat([]byte{1}, n) } // no operation
}

// optionCases are IPv4 packets with options, which nobody looks at.
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
