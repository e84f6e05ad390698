package contract

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss"
	"lbctl/rss/packet"
)

// testExplain tests that Explain tells what Send then does, and changes nothing.
func testExplain(t *testing.T, open func(t *testing.T) Harness) {
	t.Run("flavours", func(t *testing.T) { testFlavours(newFixture(t, open)) })
	t.Run("reasons", func(t *testing.T) { testExplainReasons(newFixture(t, open)) })
	t.Run("flows", func(t *testing.T) { testExplainFlows(newFixture(t, open)) })
	t.Run("modes", func(t *testing.T) { testExplainModes(newFixture(t, open)) })
	t.Run("errors", func(t *testing.T) { testExplainErrors(newFixture(t, open)) })
	t.Run("nonsense", func(t *testing.T) { testExplainNonsense(newFixture(t, open)) })
}

// testFlavours explains and sends flows to services of each hash and scheduler.
func testFlavours(b fixture) {
	for _, f := range families() {
		for _, p := range protocols() {
			for number, s := range flavours(f, p) {
				b.set(s)
				for i := range 40 {
					flow := packet.Flow{
						Source:      f.on(East, byte(1+i%16), uint16(1024+613*i)),
						Destination: s.VIP.Address, Protocol: p,
					}
					b.explained(s, flow)
				}
				if b.t.Failed() {
					b.t.Fatalf("%s %v, flavour %d: %+v", f.name, p, number, s)
				}
				b.remove(s.VIP)
			}
		}
	}
}

// flavours returns services with each hash and scheduler, and five replicas.
func flavours(f family, p packet.Protocol) []lb.Service {
	var all []lb.Service
	for _, h := range []lb.Hash{lb.JHash, lb.ToeplitzHash} {
		for _, scheduler := range []lb.Scheduler{lb.Modulo, lb.Maglev} {
			s := f.service(1, p)
			for i := range 5 {
				r := f.on(West, byte(5-i), 8080)
				s.Replicas = append(s.Replicas, lb.Replica{Address: r, Weight: 1})
			}
			s.Hash, s.Scheduler, s.Seed, s.TableSize = h, scheduler, 0x5eed0000+uint32(len(all)), 0
			if scheduler == lb.Maglev {
				s.TableSize, s.Replicas[2].Weight = 251, 3
			}
			all = append(all, s.WithDefaults())
		}
	}
	return all
}

// explained explains a flow to a service, sends a packet of it and compares.
func (b fixture) explained(s lb.Service, f packet.Flow) {
	b.t.Helper()
	var e lb.Explanation
	b.unchanged("explain", func() { e = b.explain(lb.Probe{Flow: f, SYN: true}) })
	if e.Service == nil {
		b.t.Fatalf("explain %v: %v, no service", f, e.Reason)
	}
	equal(b.t, "service explained", *e.Service, s)
	hash := oracle.Hash(s, rss.MicrosoftKey(), f)
	equal(b.t, "hash and slot", fmt.Sprintf("%#x %d", e.Hash, e.Slot), fmt.Sprintf("%#x %d", hash, hash%s.TableSize))
	equal(b.t, "owners", []netip.AddrPort{e.Owner, e.PreviousOwner}, []netip.AddrPort{e.Replica, e.Replica})

	p := Packet{Flow: f, TTL: 64, Flags: 0x02}
	before := b.counters()
	v := b.send(East, p.Frame())
	want := newTally()
	want.addForwarded(s.VIP, e.Replica, len(p.Frame()))
	equal(b.t, "counters moved", moved(before, b.counters()), want.Counters)
	equal(b.t, "reason", e.Reason, lb.Forwarded)
	p.Flow, p.TTL = e.Rewritten, p.TTL-1
	p.Source, p.Destination = e.NextHop.Source, e.NextHop.Destination
	equal(b.t, "frame", hex(v.Frame), hex(p.Frame()))
	equal(b.t, "link", e.NextHop.Interface, West)
	hop := b.nextHops([]lb.Service{{VIP: s.VIP, Replicas: []lb.Replica{{Address: e.Replica}}}})[0][0]
	equal(b.t, "next hop listed", hop.NextHop, e.NextHop)
	if hop.State != lb.NeighbourReachable && hop.State != lb.NeighbourPermanent || hop.MTU < 1280 || !hop.Neighbour.IsValid() {
		b.t.Errorf("next hop of %v: %+v", e.Replica, hop)
	}
}

// explanation returns the explanation of a packet up to the look-up of its service.
func explanation(reason lb.Reason, f packet.Flow, before []byte) lb.Explanation {
	return lb.Explanation{Reason: reason, Flow: f, Before: before}
}

// explainsAll explains a frame and compares every field but the indexes of interfaces. It changes nothing.
func (b fixture) explainsAll(what string, frame []byte, want lb.Explanation) {
	b.t.Helper()
	var got lb.Explanation
	flows := b.listFlows()
	b.unchanged(what, func() { got = b.explain(lb.Probe{Frame: frame, Ingress: b.ingress(East)}) })
	equal(b.t, "flows after explain", b.listFlows(), flows)
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

// testExplainNonsense explains flows that no packet can have, and frames that are too short.
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
