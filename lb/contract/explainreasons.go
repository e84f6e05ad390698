package contract

import (
	"errors"
	"net/netip"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss"
	"lbctl/rss/packet"
)

// explanation is that of a packet up to the look-up of its service.
func explanation(reason lb.Reason, f packet.Flow, before []byte) lb.Explanation {
	return lb.Explanation{Reason: reason, Flow: f, Before: before}
}

// explainsAll explains a frame and compares every field but the indexes of interfaces. It changes nothing.
func (b fixture) explainsAll(what string, frame []byte, want lb.Explanation) {
	b.t.Helper()
	var got lb.Explanation
	flows := must(b.t, "list flows", b.Dataplane.Flows)
	b.unchanged(what, func() { got = b.explain(lb.Probe{Frame: frame, Ingress: b.ingress(East)}) })
	equal(b.t, "flows after explain", must(b.t, "list flows", b.Dataplane.Flows), flows)
	got.NextHop.Index = 0
	equal(b.t, what, got, want)
}

// hopTo is the next hop towards a host of a link.
func hopTo(link string, host byte) lb.NextHop {
	p := sentBy(Packet{}, link, host)
	return lb.NextHop{Interface: link, Source: p.Source, Destination: p.Destination}
}

// hashed fills in what follows from the hash of the flow to a service with an active replica.
func hashed(e lb.Explanation, s lb.Service) lb.Explanation {
	e.Service = &s
	e.Hash = oracle.Hash(s, rss.MicrosoftKey(), e.Flow)
	if s.Slots() > 0 {
		e.Slot, e.Owner = slotOf(s, e.Flow), owner(s, e.Flow)
		e.PreviousOwner = e.Owner
	}
	return e
}

// testExplainReasons explains packets that are not forwarded, and an answer.
func testExplainReasons(b fixture) {
	for _, s := range scenes() {
		b.set(s.services()...)
		for _, c := range []struct {
			what   string
			change func(scene, *Packet)
			reason lb.Reason
			vip    byte
		}{
			{"not ours", to(99), lb.NotOurs, 0},
			{"no replica", to(empty), lb.NoReplica, empty},
			{"ttl expired", ttl(1), lb.TTLExpired, plain},
			{"no route", to(routeless), lb.NoRoute, routeless},
			{"hairpin", to(mirror), lb.Hairpin, mirror},
			{"neighbour missing", to(unresolved), lb.NeighbourMissing, unresolved},
		} {
			p := s.plain()
			c.change(s, &p)
			b.explainsAll(c.what, p.Frame(), s.explained(c.reason, c.vip, p))
		}
		b.explainsAnswer(s)
		for _, gone := range s.services() {
			b.remove(gone.VIP)
		}
	}
}

// explained is the explanation of a packet to a VIP of the scene that is not forwarded, 0 if it is none.
func (s scene) explained(reason lb.Reason, vip byte, p Packet) lb.Explanation {
	e := explanation(reason, p.Flow, p.Frame())
	if reason == lb.NotOurs || reason == lb.TTLExpired {
		e.After = e.Before
	}
	if vip == 0 {
		return e
	}
	service := s.service(vip, s.protocol)
	if vip != empty {
		service = s.service(vip, s.protocol, s.replica(vip))
	}
	if e.Service = &service; reason == lb.TTLExpired {
		return e
	}
	if e = hashed(e, service); vip == empty {
		return e
	}
	e.Replica, e.Choice = s.replica(vip), lb.ByOwner
	if reason == lb.NeighbourMissing {
		p.Flow.Destination = e.Replica
		e.Rewritten, e.After = p.Flow, p.Frame()
	}
	return e
}

// explainsAnswer explains a replica's answer.
func (b fixture) explainsAnswer(s scene) {
	b.t.Helper()
	p := s.plain()
	answer(s, &p)
	e := explanation(lb.Returned, p.Flow, p.Frame())
	p.Flow.Source = s.vip(plain, s.protocol).Address
	e.Rewritten, e.NextHop, e.After = p.Flow, hopTo(East, 1), sentBy(p, East, 1).Frame()
	b.explainsAll("answer", e.Before, e)
}

// testExplainNonsense explains what no packet is.
func testExplainNonsense(b fixture) {
	none, half, mixed := packet.Flow{}, flowTo(ipv4.vip(1, packet.TCP)), flowTo(ipv4.vip(1, packet.TCP))
	half.Destination = netip.AddrPort{}
	mixed.Source = ipv6.on(East, 1, 1)
	for _, f := range []packet.Flow{none, half, mixed} {
		if e, err := b.Dataplane.Explain(lb.Probe{Flow: f}); !errors.Is(err, lb.ErrInvalid) {
			b.t.Errorf("explain %v: %+v, error %v, want %v", f, e, err, lb.ErrInvalid)
		}
	}
	for _, frame := range [][]byte{{}, {1}, make([]byte, 13)} {
		e := b.explain(lb.Probe{Frame: frame})
		equal(b.t, "frame that is too short", e, lb.Explanation{Reason: lb.MalformedEthernet, Before: frame})
	}
}
