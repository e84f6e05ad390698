package contract

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// errorCases are ICMP errors about packets from a VIP to a client.
func errorCases(s scene) []packetCase {
	west, other, ours := sentTo(plain, West).as(lb.ErrorForwarded), passed(lb.NotTCPUDP), passed(lb.NotOurs)
	err := quote{}.build
	back := sentTo(mirror, East).as(lb.ErrorForwarded).by(oracle.Transmit)
	most := func(mtu int) int { return mtu - s.overhead() }
	cases := []packetCase{
		{name: "error", build: err, want: west},
		{name: "error by the ingress", ingress: West, build: err, want: west.by(oracle.Transmit)},
		{name: "error, tags", packet: tagged(double...), build: err, want: west},
		{name: "error by the ingress, tags", packet: tagged(double...), ingress: West, build: err, want: west.by(oracle.Transmit)},
		{name: "error of the client", build: quote{from: sender}.build, want: west},
		{name: "error of the replica", packet: to(mirror), build: quote{from: sender}.build, want: back},
		{name: "error, code 13", build: quote{code: 13}.build, want: west},
		{name: "error, ttl 2", packet: ttl(2), build: err, want: west},
		{name: "error, ttl 1", packet: ttl(1), build: err, want: s.mortal(west)},
		{name: "error, no replica", packet: to(empty), build: err, want: dropped(lb.NoReplica)},
		{name: "error, no route", packet: to(routeless), build: err, want: dropped(lb.NoRoute)},
		{name: "error, neighbour unknown", packet: all(to(unresolved), tagged(double...)), build: err, want: s.waiting(unresolved)},
		{name: "error, fits", packet: to(small), build: quote{quoted: s.long(most(1280))}.build, want: sentTo(small, Narrow).as(lb.ErrorForwarded)},
		{name: "error, too long", packet: to(small), build: quote{quoted: s.long(s.tooLong())}.build,
			want: dropped(lb.TooBig).unless(s.v4 && s.mode == lb.NAT, cut(small))},
		{name: "error, too long, not to be fragmented", packet: all(to(small), dontFragment), build: quote{quoted: s.long(s.tooLong())}.build, want: dropped(lb.TooBig)},
		{name: "error, about nobody", packet: to(99), build: err, want: ours},
		{name: "error, about nobody, ttl 1", packet: all(to(99), ttl(1)), build: err, want: ours},
		{name: "error, about another port", packet: func(_ scene, p *Packet) { p.Flow.Destination = withPort(p.Flow.Destination, 81) }, build: err, want: ours},
		{name: "error, about another protocol", packet: func(_ scene, p *Packet) {
			p.Flow.Protocol = packet.TCP + packet.UDP - p.Flow.Protocol
		}, build: err, want: ours},
		{name: "error, about another's packet", build: quote{quoted: func(p *Packet) { p.Flow.Source = s.vip(small, s.protocol).Address }}.build, want: other},
		{name: "error, about a packet to a replica", only: sameFamily, packet: func(s scene, p *Packet) {
			p.Flow.Source = s.replica(plain)
			to(small)(s, p)
		}, build: err, want: sentTo(small, Narrow).as(lb.ErrorForwarded)},
		{name: "error, no quote", build: quote{nothing: true}.build, want: other},
		{name: "error, padding", build: err, bytes: pad(7), want: west},
		{name: "error, extensions of RFC 4884", build: quote{extended: true}.build, want: west},
	}
	for _, kind := range s.errorTypes() {
		cases = append(cases, packetCase{name: fmt.Sprintf("error of type %d", kind), build: quote{kind: kind}.build, want: west})
	}
	for kind := range 256 {
		if k := byte(kind); k > 0 && k != 8 && k != 128 && !slices.Contains(s.errorTypes(), k) {
			cases = append(cases, packetCase{name: fmt.Sprintf("quote in type %d", kind), build: quote{kind: k}.build, want: other})
		}
	}
	return slices.Concat(cases, quoteCases(s, west), quoteCuts(s, nil, East, west))
}

// quoteCases change what is quoted. The outcome of errors that are about a flow is sent.
func quoteCases(s scene, sent outcome) []packetCase {
	other, version, proto := passed(lb.NotTCPUDP), byte(0x55), 9
	if !s.v4 {
		version, proto = 0x75, 6
	}
	with := func(change func(*Packet)) func(Packet) []byte { return quote{quoted: change}.build }
	body := func(at int, bytes ...byte) func(Packet) []byte { return quote{body: quotedBytes(at, bytes...)}.build }
	checksumAt := s.ipHeader() + 6
	if isTCP(s) {
		checksumAt += 10
	}
	cases := []packetCase{
		{name: "quoted version", build: body(0, version), want: other},
		{name: "quoted icmp", build: body(proto, 1), want: other},
		{name: "quoted icmpv6", build: body(proto, 58), want: other},
		{name: "quoted options of a header", build: body(proto, 60), want: other},
		{name: "quoted wrong checksum", build: quote{body: wrong(checksumAt)}.build, want: sent},
		{name: "quoted no udp checksum", only: isUDP, build: body(checksumAt, 0, 0), want: sent},
		{name: "quoted udp checksum becomes 0xffff", only: both(isUDP, isNAT), build: quote{quoted: s.quotedFFFF}.build, want: sent},
	}
	v4 := []packetCase{
		{name: "quoted ihl 4", build: body(0, 0x44), want: other},
		{name: "quoted ihl beyond the quote", build: quote{bytes: 28, body: quotedBytes(0, 0x46)}.build, want: other},
		{name: "quoted options", build: with(func(p *Packet) { p.Options = make([]byte, 12) }), want: sent},
		{name: "quoted options, 8 bytes behind them", build: quote{bytes: 40, quoted: func(p *Packet) { p.Options = make([]byte, 12) }}.build, want: sent},
		{name: "quoted options, 7 bytes behind them", build: quote{bytes: 39, quoted: func(p *Packet) { p.Options = make([]byte, 12) }}.build, want: other},
		{name: "quoted total length 0", build: body(2, 0, 0), want: sent},
		{name: "quoted ttl 0", build: body(8, 0), want: sent},
		{name: "quoted first fragment", build: body(6, 0x20, 0), want: sent},
		{name: "quoted later fragment, the first not seen", build: body(6, 0, 1), want: other},
		{name: "quoted middle fragment", build: body(6, 0x20, 9), want: other},
		{name: "error, options", packet: options(12), build: quote{}.build, want: sent},
	}
	v6 := []packetCase{
		{name: "quoted payload length 0", build: body(4, 0, 0), want: sent},
		{name: "quoted hop limit 0", build: body(7, 0), want: sent},
		{name: "quoted extension header", build: with(func(p *Packet) { p.Extensions = []Extension{header(60, 8)} }), want: sent},
		{name: "quoted extension headers", build: with(func(p *Packet) { p.Extensions = slices.Repeat([]Extension{header(0, 16)}, 6) }), want: sent},
		{name: "quoted extension headers, too many", build: with(func(p *Packet) { p.Extensions = slices.Repeat([]Extension{header(0, 8)}, 7) }), want: other},
		{name: "quoted extension header, 8 bytes behind it", build: quote{bytes: 64, quoted: func(p *Packet) { p.Extensions = []Extension{header(60, 16)} }}.build, want: sent},
		{name: "quoted extension header, 7 bytes behind it", build: quote{bytes: 63, quoted: func(p *Packet) { p.Extensions = []Extension{header(60, 16)} }}.build, want: other},
		{name: "quoted extension header cut short", build: quote{bytes: 55, quoted: func(p *Packet) { p.Extensions = []Extension{header(60, 16)} }}.build, want: other},
		{name: "quoted authentication header", build: with(func(p *Packet) { p.Extensions = []Extension{header(51, 16)} }), want: other},
		{name: "quoted atomic fragment", build: with(func(p *Packet) { p.Extensions = []Extension{atomic(1)} }), want: sent},
		{name: "quoted first fragment of ipv6", build: with(fragmentOf(0, 7)), want: sent},
		{name: "quoted later fragment of ipv6, the first not seen", build: with(fragmentOf(1, 7)), want: other},
		{name: "error, extension headers", packet: extensions(header(60, 16), atomic(1)), build: quote{}.build, want: sent},
	}
	return slices.Concat(cases, onlyFor(isV4, v4), onlyFor(isV6, v6))
}

// wrong makes the checksum at an offset too large by 0x1234, in ones' complement arithmetic.
func wrong(at int) func([]byte) {
	return func(b []byte) {
		sum := uint32(binary.BigEndian.Uint16(b[at:])) + 0x1234
		binary.BigEndian.PutUint16(b[at:], uint16(sum+sum>>16))
	}
}

// quotedFFFF finds a payload for which the checksum of the rewritten quoted packet computes to 0, and so is
// written as 0xffff.
func (s scene) quotedFFFF(p *Packet) {
	rewritten, vip := *p, s.vip(plain, s.protocol).Address
	switch {
	case p.Flow.Source == vip:
		rewritten.Flow.Source = s.replica(plain)
	case p.Flow.Destination == s.replica(plain):
		rewritten.Flow.Destination = vip
	}
	for i := range uint16(0xffff) {
		rewritten.Payload = binary.BigEndian.AppendUint16(nil, i)
		if binary.BigEndian.Uint16(rewritten.Frame()[s.l4()+6:]) == 0xffff {
			p.Payload = rewritten.Payload
			return
		}
	}
	panic("contract: no payload gives the checksum 0xffff")
}

// quoteCuts quote the first byte of a packet, the first two, and so on.
func quoteCuts(s scene, change func(scene, *Packet), ingress string, sent outcome) (cases []packetCase) {
	for n := 1; n < s.headers()+14; n++ {
		c := packetCase{name: fmt.Sprintf("%d bytes quoted", n), packet: change, ingress: ingress, want: passed(lb.NotTCPUDP)}
		q := quote{bytes: n}
		if n >= s.ipHeader()+8 {
			c.want = sent
		}
		if isTCP(s) && n == s.ipHeader()+17 { // half of a checksum: it stays as it is
			q.body = quotedBytes(n-1, 0xaa)
		}
		c.build = q.build
		cases = append(cases, c)
	}
	return cases
}

// errorReturnCases are ICMP errors about packets from a client, as a replica got them.
func errorReturnCases(s scene) []packetCase {
	east, err := returnedTo(East).as(lb.ErrorReturned), quote{}.build
	readdressed := returnedTo("").as(lb.NeighbourMissing).by(oracle.Pass)
	about := func(change func(s scene, p *Packet)) func(scene, *Packet) { return all(answer, change) }
	cases := []packetCase{
		{name: "returned error of a router", packet: answer, build: err, want: east},
		{name: "returned error of the replica", packet: answer, build: quote{from: sender}.build, want: east},
		{name: "returned error by the ingress", ingress: East, packet: answer, build: quote{from: sender}.build, want: east.by(oracle.Transmit)},
		{name: "returned error, tags", packet: about(tagged(double...)), build: err, want: east},
		{name: "returned error by the ingress, tags", ingress: East, packet: about(tagged(double...)), build: err, want: east.by(oracle.Transmit)},
		{name: "returned error, ttl 2", packet: about(ttl(2)), build: err, want: east},
		{name: "returned error, ttl 1", packet: about(ttl(1)), build: err, want: passed(lb.TTLExpired)},
		{name: "returned error, no route", packet: answerNowhere, build: err, want: passed(lb.ForThisHost)},
		{name: "returned error to us", packet: answerToUs(East), build: err, want: passed(lb.ForThisHost)},
		{name: "returned error of the replica to us", packet: answerToUs(West), build: quote{from: sender}.build, want: passed(lb.ForThisHost)},
		{name: "returned error of a link-local address", only: isV6, packet: answer, build: quote{from: linkLocal}.build, want: passed(lb.ForThisHost)},
		{name: "returned error, neighbour unknown", packet: answerTo(East, unknown), build: quote{from: sender}.build, want: readdressed},
		{name: "returned error, nothing outside changes", only: isV4, packet: answerTo(East, unknown), build: err, bytes: allOnes, want: readdressed},
		{name: "returned error, fits", packet: answerTo(Narrow, 1), build: quote{quoted: s.long(1280)}.build, want: returnedTo(Narrow).as(lb.ErrorReturned)},
		{name: "returned error, too long", packet: all(answerTo(Narrow, 1), dontFragment), build: quote{quoted: s.long(1281)}.build, want: dropped(lb.TooBig)},
		{name: "returned error, about another port", packet: about(func(_ scene, p *Packet) { p.Flow.Source = withPort(p.Flow.Source, 80) }), build: err, want: passed(lb.NotOurs)},
		{name: "returned error, about another protocol", packet: about(func(_ scene, p *Packet) {
			p.Flow.Protocol = packet.TCP + packet.UDP - p.Flow.Protocol
		}), build: err, want: passed(lb.NotOurs)},
		{name: "returned error, to another", packet: answer, build: quote{quoted: func(p *Packet) { p.Flow.Source = s.on(East, 3, 40000) }}.build, want: passed(lb.NotTCPUDP)},
	}
	for _, kind := range s.errorTypes() {
		cases = append(cases, packetCase{name: fmt.Sprintf("returned error of type %d", kind), packet: answer, build: quote{kind: kind}.build, want: east})
	}
	for _, c := range quoteCases(s, east) {
		c.name, c.packet = "returned error: "+c.name, all(answer, orNothing(c.packet))
		cases = append(cases, c)
	}
	return onWest(slices.Concat(cases, quoteCuts(s, answer, West, east)))
}

// orNothing returns the change, or one that does nothing if it is nil.
func orNothing(change func(scene, *Packet)) func(scene, *Packet) {
	if change == nil {
		return func(scene, *Packet) {}
	}
	return change
}

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
