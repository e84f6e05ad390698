package contract

import (
	"fmt"
	"net/netip"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// echo makes the bytes of an echo request between a packet's addresses.
func echo(p Packet) []byte { return echoing(p, 0, "twelve bytes").Frame() }

// echoing makes p an echo request with a code and some bytes.
func echoing(p Packet, code byte, bytes string) Packet {
	kind := byte(8)
	if !p.Flow.Source.Addr().Is4() {
		kind = 128
	}
	return p.icmp(kind, code, [4]byte{0xab, 0xcd, 0, 1}, []byte(bytes))
}

// answered is the outcome of an echo request of those bytes.
func answered(bytes string) outcome {
	return outcome{action: oracle.Transmit, reason: lb.EchoAnswered, answer: func(p Packet, _ []byte) []byte {
		p.Source, p.Destination, p.Flow, p.TTL = p.Destination, p.Source, p.Flow.Reverse(), 64
		kind := byte(0)
		if !p.Flow.Source.Addr().Is4() {
			kind = 129
		}
		return p.icmp(kind, 0, [4]byte{0xab, 0xcd, 0, 1}, []byte(bytes)).Frame()
	}}
}

// allOnes writes 0xffff as IPv4's checksum. It equals 0, and must stay as it is if nothing changes that it
// covers.
func allOnes(s scene, frame []byte) []byte { return pokeIP(10, 0xff, 0xff)(s, frame) }

// then returns the outcome with a change of the answer.
func (o outcome) then(change func(scene, []byte) []byte) outcome {
	answer := o.answer
	o.answer = func(p Packet, frame []byte) []byte { return change(scene{}, answer(p, frame)) }
	return o
}

// echoCases are ICMP messages that are not about a flow.
func echoCases(s scene) []packetCase {
	ok, other := answered("twelve bytes"), passed(lb.NotTCPUDP)
	sized := func(bytes string) func(Packet) []byte {
		return func(p Packet) []byte { return echoing(p, 0, bytes).Frame() }
	}
	message := func(kind, code byte) func(Packet) []byte {
		return func(p Packet) []byte { return p.icmp(kind, code, [4]byte{1, 2, 3, 4}, nil).Frame() }
	}
	cases := []packetCase{
		{name: "echo", build: echo, want: ok},
		{name: "echo to a vip without replicas", packet: to(empty), build: echo, want: ok},
		{name: "echo to another address", packet: to(99), build: echo, want: other},
		{name: "echo to a replica", only: sameFamily, packet: func(s scene, p *Packet) { p.Flow.Destination = s.replica(plain) }, build: echo, want: other},
		{name: "echo, ttl 1", packet: ttl(1), build: echo, want: ok},
		{name: "echo, ttl 0", packet: ttl(0), build: echo, want: ok},
		{name: "echo, ttl 255", packet: ttl(255), build: echo, want: ok},
		{name: "echo, ttl 64, a checksum of all ones", only: isV4, packet: ttl(64), build: echo, bytes: allOnes, want: ok.then(allOnes)},
		{name: "echo, tags", packet: tagged(double...), build: echo, want: ok},
		{name: "echo, class", packet: func(_ scene, p *Packet) { p.Class, p.DontFragment, p.ID = 0xb8, true, 0x1234 }, build: echo, want: ok},
		{name: "echo on another link", ingress: West, build: echo, want: ok},
		{name: "echo, no bytes", build: sized(""), want: answered("")},
		{name: "echo, one byte", build: sized("x"), want: answered("x")},
		{name: "echo, from nowhere", packet: from(elsewhere), build: echo, want: ok},
		{name: "echo, code 1", build: func(p Packet) []byte { return echoing(p, 1, "twelve bytes").Frame() }, want: other},
		{name: "echo, options", only: isV4, packet: options(4), build: echo, want: other},
		{name: "echo, extension header", only: isV6, packet: extensions(header(60, 8)), build: echo, want: other},
		{name: "echo, atomic fragment", only: isV6, packet: extensions(atomic(1)), build: echo, want: other},
		{name: "echo, first fragment", build: func(p Packet) []byte { return echoing(p, 0, "twelve bytes").fragments(4, 16)[0].Frame() }, want: other},
		{name: "echo, later fragment", only: isV4, build: func(p Packet) []byte { return echoing(p, 0, "twelve bytes").fragments(4, 16)[1].Frame() }, want: other},
		{name: "echo reply", build: func(p Packet) []byte { return message(echoReply(p), 0)(p) }, want: other},
		{name: "icmp of the other family", build: otherICMP, want: other},
		{name: "7 bytes of icmp", build: sized(""), bytes: then(cutAt(s.l4()+7), ipBytes(-1)), want: dropped(lb.MalformedL4)},
		{name: "no bytes of icmp", build: sized(""), bytes: ipBytes(-8), want: dropped(lb.MalformedL4)},
		{name: "7 bytes of icmp, not ours", packet: to(99), build: sized(""), bytes: ipBytes(-1), want: passed(lb.NotOurs)},
	}
	for _, source := range unanswerable(s) {
		cases = append(cases, packetCase{
			name: "echo from " + source.Addr().String(), packet: from(func(scene) netip.AddrPort { return source }), build: echo, want: dropped(lb.MartianSource),
		})
	}
	for _, source := range oddHosts(s) {
		cases = append(cases, packetCase{
			name: "echo from the host " + source.Addr().String(), packet: from(func(scene) netip.AddrPort { return source }), build: echo, want: ok,
		})
	}
	for kind := range 256 {
		if request := byte(kind); request != 8 && request != 128 {
			cases = append(cases, packetCase{name: fmt.Sprintf("icmp type %d", kind), build: message(request, 0), want: other})
		}
	}
	return cases
}

func echoReply(p Packet) byte {
	if p.Flow.Source.Addr().Is4() {
		return 0
	}
	return 129
}

// otherICMP is an echo request of ICMP in IPv6 or of ICMPv6 in IPv4.
func otherICMP(p Packet) []byte {
	p = echoing(p, 0, "twelve bytes")
	p.Flow.Protocol = packet.ICMP + packet.ICMPv6 - p.Flow.Protocol
	return p.Frame()
}
