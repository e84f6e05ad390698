package contract

import (
	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// answer makes the packet an answer of plain's replica.
func answer(s scene, p *Packet) {
	p.Flow = packet.Flow{Source: s.replica(plain), Destination: s.client(), Protocol: s.protocol}
}

// answerTo makes it an answer to a host of a link.
func answerTo(link string, host byte) func(scene, *Packet) {
	return func(s scene, p *Packet) {
		answer(s, p)
		p.Flow.Destination = s.on(link, host, 40000)
	}
}

// answerNowhere makes it an answer to a host to which no route leads.
func answerNowhere(s scene, p *Packet) {
	answer(s, p)
	p.Flow.Destination = s.off(9, 40000)
}

// returnCases are the answers of replicas.
func returnCases() []packetCase {
	readdressed := returnedTo("").by(oracle.Pass).as(lb.NeighbourMissing)
	fromSmall := returnedTo(East)
	fromSmall.rewrite = func(s scene, p *Packet) { p.Flow.Source = s.vip(smallUnresolved, s.protocol).Address }
	return onWest([]packetCase{
		{name: "answer", packet: answer, want: returnedTo(East)},
		{name: "answer by the ingress", ingress: East, packet: answer, want: returnedTo(East).by(oracle.Transmit)},
		{name: "answer, ttl 2", packet: all(answer, ttl(2)), want: returnedTo(East)},
		{name: "answer, ttl 1", packet: all(answer, ttl(1)), want: passed(lb.TTLExpired)},
		{name: "answer, full frame", packet: all(answer, ipLength(1500)), want: returnedTo(East)},
		{name: "answer, just fits", packet: all(answerTo(Narrow, 1), ipLength(1280)), want: returnedTo(Narrow)},
		{name: "answer, neighbour unknown", packet: answerTo(East, unknown), want: readdressed},
		{name: "answer, no route", packet: answerNowhere, want: dropped(lb.NoRoute)},
		{name: "answer, no route, ttl 1", packet: all(answerNowhere, ttl(1)), want: passed(lb.TTLExpired)},
		{name: "answer of a replica that cannot be reached", ingress: Narrow, packet: func(s scene, p *Packet) {
			answer(s, p)
			p.Flow.Source = s.replica(smallUnresolved)
		}, want: fromSmall},
		{name: "answer from another port", packet: func(s scene, p *Packet) {
			answer(s, p)
			p.Flow.Source = withPort(p.Flow.Source, 80)
		}, want: passed(lb.NotOurs)},
		{name: "answer by another protocol", packet: func(s scene, p *Packet) {
			answer(s, p)
			p.Flow.Protocol = packet.TCP + packet.UDP - p.Flow.Protocol
		}, want: passed(lb.NotOurs)},
	})
}

// onWest gives cases that name no ingress the ingress West, where replicas are.
func onWest(cases []packetCase) []packetCase {
	for i := range cases {
		if cases[i].ingress == "" {
			cases[i].ingress = West
		}
	}
	return cases
}
