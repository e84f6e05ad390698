package contract

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// testCounters tests what the counters promise over many packets and changes of services.
func testCounters(t *testing.T, open func(t *testing.T) Harness) {
	t.Run("sum", func(t *testing.T) { testSum(newFixture(t, open)) })
	t.Run("anew", func(t *testing.T) { testCountersAnew(newFixture(t, open)) })
	t.Run("replacing", func(t *testing.T) { testCountersLast(newFixture(t, open)) })
}

// testSum sends packets of several kinds; the sum over the reasons is their number.
func testSum(b fixture) {
	s := scenes()[1] // IPv4, UDP
	b.set(s.services()...)
	want := newTally()
	for i := range 30 {
		p := s.plain()
		payload(i)(s, &p)
		to(byte(i%7))(s, &p) // VIPs 0 and up: some are none
		b.send(East, p.Frame())
		switch n := len(p.Frame()); byte(i % 7) {
		case plain, small:
			want.addForwarded(s.vip(byte(i%7), packet.UDP), s.replica(byte(i%7)), n)
		case empty:
			want.add(lb.NoReplica, n)
		case unresolved, smallUnresolved:
			want.add(lb.NeighbourMissing, n)
		case routeless:
			want.add(lb.NoRoute, n)
		default:
			want.add(lb.NotOurs, n)
		}
	}
	c := b.counters()
	equal(b.t, "counters", moved(lb.Counters{}, c), want.Counters)
	var packets uint64
	for _, n := range c.Reasons {
		packets += n.Packets
	}
	equal(b.t, "packets seen", packets, 30)
}

// testCountersLast replaces a service: its counters, and those of a replica that stays, go on. Those of a new
// replica start at 0.
func testCountersLast(b fixture) {
	stays, comes := ipv4.on(West, 1, 8080), ipv4.on(West, 2, 8080)
	s := ipv4.service(1, packet.TCP, stays)
	b.set(s)
	b.reaches(s.VIP, s.Replicas[0])
	before := b.counters()
	b.set(ipv4.service(1, packet.TCP, comes, stays))
	after := b.counters()
	equal(b.t, "counters moved by replacing", moved(before, after), lb.Counters{})
	equal(b.t, "service", after.Services[s.VIP], before.Services[s.VIP])
	equal(b.t, "replica that stays", after.Replicas[s.VIP][stays], before.Replicas[s.VIP][stays])
	equal(b.t, "replica that comes", after.Replicas[s.VIP][comes], lb.Count{})
}

// testCountersAnew adds and removes replicas and services, one at a time: the counters of what is added start
// at 0, whatever had its place in the tables before.
func testCountersAnew(b fixture) {
	for host := range byte(6) {
		s := ipv4.service(1+host%2, packet.TCP, ipv4.on(West, 1+host, 8080))
		if host >= 2 {
			b.remove(ipv4.service(1+host%2, packet.TCP).VIP)
		}
		b.set(s)
		c := b.counters()
		equal(b.t, "service that comes", c.Services[s.VIP], lb.Count{})
		equal(b.t, "replica that comes", c.Replicas[s.VIP][s.Replicas[0].Address], lb.Count{})
		b.reaches(s.VIP, s.Replicas[0])
	}
}

// movedFlows returns by how much each count of flows has increased, without those that have not.
func movedFlows(before, after lb.Counters) map[lb.VIP]map[netip.AddrPort]lb.FlowCount {
	m := map[lb.VIP]map[netip.AddrPort]lb.FlowCount{}
	for vip, replicas := range after.Flows {
		for a, now := range replicas {
			was := before.Flows[vip][a]
			if now == was {
				continue
			}
			if m[vip] == nil {
				m[vip] = map[netip.AddrPort]lb.FlowCount{}
			}
			m[vip][a] = lb.FlowCount{Begun: now.Begun - was.Begun, Resets: now.Resets - was.Resets, Refusals: now.Refusals - was.Refusals}
		}
	}
	return m
}

// moved returns by how much each counter of packets has increased, without those that have not. A service or replica that
// is missing counts 0.
func moved(before, after lb.Counters) lb.Counters {
	m := lb.Counters{
		Reasons:  movedIn(before.Reasons, after.Reasons),
		Services: movedIn(before.Services, after.Services),
		Replicas: map[lb.VIP]map[netip.AddrPort]lb.Count{},
	}
	for vip := range after.Replicas {
		if r := movedIn(before.Replicas[vip], after.Replicas[vip]); len(r) > 0 {
			m.Replicas[vip] = r
		}
	}
	return m
}

func movedIn[K comparable](before, after map[K]lb.Count) map[K]lb.Count {
	m := make(map[K]lb.Count)
	for key, now := range after {
		was := before[key]
		if now != was {
			m[key] = lb.Count{Packets: now.Packets - was.Packets, Bytes: now.Bytes - was.Bytes}
		}
	}
	return m
}

// tally are the counters that packets are expected to move.
type tally struct{ lb.Counters }

func newTally() tally {
	return tally{lb.Counters{
		Reasons:  map[lb.Reason]lb.Count{},
		Services: map[lb.VIP]lb.Count{},
		Replicas: map[lb.VIP]map[netip.AddrPort]lb.Count{},
	}}
}

// add counts a packet that ended in a reason.
func (t tally) add(reason lb.Reason, bytes int) { addTo(t.Reasons, reason, bytes) }

// addForwarded counts a packet to a replica of a service.
func (t tally) addForwarded(vip lb.VIP, replica netip.AddrPort, bytes int) {
	t.add(lb.Forwarded, bytes)
	addTo(t.Services, vip, bytes)
	if t.Replicas[vip] == nil {
		t.Replicas[vip] = map[netip.AddrPort]lb.Count{}
	}
	addTo(t.Replicas[vip], replica, bytes)
}

func addTo[K comparable](counts map[K]lb.Count, key K, bytes int) {
	c := counts[key]
	counts[key] = lb.Count{Packets: c.Packets + 1, Bytes: c.Bytes + uint64(bytes)}
}

// testFlowCounts tests what is counted of the flows of replicas: those that begin, resets, refusals.
func testFlowCounts(t *testing.T, open func(t *testing.T) Harness) {
	for _, f := range families() {
		t.Run(f.name, func(t *testing.T) {
			for name, test := range map[string]func(fixture, family){
				"begun": testBegun, "begun in transition": testBegunInTransition, "begun of udp": testBegunUDP, "begun and not sent": testBegunNotSent,
				"resets": testResets, "replicas change": testFlowCountsOfReplicas,
				"of some services": testOfSome,
			} {
				t.Run(name, func(t *testing.T) { test(newFixture(t, open), f) })
			}
		})
	}
}

// says fails unless the counts of flows that something moves are those of one replica.
func (b fixture) says(what string, v lb.VIP, replica netip.AddrPort, want lb.FlowCount, run func()) {
	b.t.Helper()
	before := b.counters()
	run()
	all := map[lb.VIP]map[netip.AddrPort]lb.FlowCount{}
	if want != (lb.FlowCount{}) {
		all[v] = map[netip.AddrPort]lb.FlowCount{replica: want}
	}
	equal(b.t, what, movedFlows(before, b.counters()), all)
}

// testBegun: every SYN counts, also one that is sent again, and nothing else of a client.
func testBegun(b fixture, f family) {
	for _, mode := range []lb.Mode{lb.NAT, lb.DSR} {
		for _, t := range []lb.Tracking{lb.Stateless, lb.TrackChanges, lb.TrackAlways} {
			s := tracking(f.service(1, packet.TCP, f.on(West, 1, 8080), f.on(West, 2, 8080)), t)
			s.Mode = mode
			if mode == lb.DSR {
				for n := range s.Replicas {
					s.Replicas[n].Address = withPort(s.Replicas[n].Address, s.VIP.Address.Port())
				}
			}
			b.set(s)
			flow := flowTo(s.VIP)
			with := owner(s, flow)
			frame := func(flags uint8) func() {
				return func() { b.send(East, packetOf(flow, flags).Frame()) }
			}
			for _, flags := range []uint8{flagACK, flagSYN | flagACK, flagFIN | flagACK, flagRST, flagRST | flagACK, 0} {
				b.says("not a SYN", s.VIP, with, lb.FlowCount{}, frame(flags))
			}
			b.says("a SYN", s.VIP, with, lb.FlowCount{Begun: 1}, frame(flagSYN))
			b.says("a SYN again", s.VIP, with, lb.FlowCount{Begun: 1}, frame(flagSYN))
			b.says("a SYN with data", s.VIP, with, lb.FlowCount{Begun: 1}, func() {
				p := packetOf(flow, flagSYN)
				p.Payload = make([]byte, 80)
				b.send(East, first(1)(p))
			})
			b.says("its later fragment, and an error about it", s.VIP, with, lb.FlowCount{}, func() {
				p := packetOf(flow, flagSYN)
				p.Payload = make([]byte, 80)
				b.send(East, later(1)(p))
				b.send(East, quote{}.build(packetOf(flow, flagSYN)))
			})
			b.remove(s.VIP)
		}
	}
}

// testBegunInTransition: a flow from before does not begin, though it may be recorded now.
func testBegunInTransition(b fixture, f family) {
	was := f.remembering(packet.TCP, lb.Maglev, lb.TrackChanges)
	b.set(was)
	flow := flowTo(was.VIP)
	with := owner(was, flow)
	b.goes(flow, flagSYN, with, "a flow begins")
	is := draining(was, with)
	b.set(is)
	b.says("a flow from before", was.VIP, with, lb.FlowCount{}, func() { b.goes(flow, flagACK, with, "it goes on") })
	other := owner(is, flow)
	b.says("a SYN", was.VIP, other, lb.FlowCount{Begun: 1}, func() { b.goes(flow, flagSYN, other, "another one begins") })
	always := tracking(is, lb.TrackAlways)
	b.set(always)
	late := flow
	late.Source = withPort(flow.Source, 50000)
	b.says("recorded in its middle", was.VIP, other, lb.FlowCount{}, func() { b.send(East, packetOf(late, flagACK).Frame()) })
}

// draining returns a service in which that replica drains.
func draining(s lb.Service, replica netip.AddrPort) lb.Service {
	for n, r := range s.Replicas {
		if r.Address == replica {
			return with(s, lb.Draining, n)
		}
	}
	return s
}

// testBegunUDP: where flows are recorded, a packet that is about to be.
func testBegunUDP(b fixture, f family) {
	s := f.service(1, packet.UDP, f.on(West, 1, 8080))
	with := s.Replicas[0].Address
	b.set(s)
	send := func() { b.send(East, packetOf(flowTo(s.VIP), 0).Frame()) }
	b.says("nothing is recorded", s.VIP, with, lb.FlowCount{}, send)
	b.set(tracking(s, lb.TrackAlways))
	b.says("the first packet", s.VIP, with, lb.FlowCount{Begun: 1}, send)
	b.says("the second one", s.VIP, with, lb.FlowCount{}, send)
	b.advance(2 * idle)
	b.says("after its record", s.VIP, with, lb.FlowCount{Begun: 1}, send)
}

// testBegunNotSent: what has been given to a replica counts, though it is not sent; what has not does not.
func testBegunNotSent(b fixture, f family) {
	s := f.service(unresolved, packet.TCP, f.on(West, unknown, 8080))
	b.set(s)
	syn := packetOf(flowTo(s.VIP), flagSYN)
	b.says("the next hop is missing", s.VIP, s.Replicas[0].Address, lb.FlowCount{Begun: 1}, func() {
		b.becomes(syn.Frame(), lb.NeighbourMissing, "the next hop is missing")
	})
	syn.TTL = 1
	b.says("a TTL ends before", s.VIP, s.Replicas[0].Address, lb.FlowCount{}, func() { b.becomes(syn.Frame(), lb.TTLExpired, "a TTL ends") })
	limited := f.rated(packet.TCP, lb.TrackChanges, 0, 1, time.Second)
	b.set(limited)
	flow := flowTo(limited.VIP)
	b.says("as many as may", limited.VIP, owner(limited, flow), lb.FlowCount{Begun: 1}, func() { b.passes(1, flow, flagSYN, lb.RateLimitedFlows, "one may") })
}

// testResets: an answer with RST counts, and one that answers a SYN as a refusal.
func testResets(b fixture, f family) {
	for _, t := range []lb.Tracking{lb.Stateless, lb.TrackChanges, lb.TrackAlways} {
		s := tracking(f.service(1, packet.TCP, f.on(West, 1, 8080)), t)
		b.set(s)
		flow, replica := flowTo(s.VIP), s.Replicas[0].Address
		for _, c := range []struct {
			flags uint8
			first bool
			want  lb.FlowCount
		}{
			{flagACK, false, lb.FlowCount{}},
			{flagSYN | flagACK, true, lb.FlowCount{}},
			{flagFIN | flagACK, true, lb.FlowCount{}},
			{flagRST, true, lb.FlowCount{Resets: 1}},
			{flagRST | flagACK, false, lb.FlowCount{Resets: 1}},
			{flagRST | flagACK, true, lb.FlowCount{Resets: 1, Refusals: 1}},
		} {
			b.send(East, packetOf(flow, flagSYN).Frame())
			answer := packetOf(packet.Flow{Source: replica, Destination: flow.Source, Protocol: packet.TCP}, c.flags)
			answer.First = c.first
			b.says("an answer", s.VIP, replica, c.want, func() { b.becomes(answer.Frame(), lb.Returned, "an answer") })
			answer.Flow.Source = withPort(replica, 9)
			b.says("from another port", s.VIP, replica, lb.FlowCount{}, func() { b.send(West, answer.Frame()) })
		}
		b.remove(s.VIP)
	}
}

// testFlowCountsOfReplicas: counts stay while a replica does, and begin anew with another one in its place.
func testFlowCountsOfReplicas(b fixture, f family) {
	stays, leaves := f.on(West, 1, 8080), f.on(West, 2, 8080)
	begin := func(s lb.Service) {
		for _, flow := range clients(s, 1000, 40) {
			b.send(East, packetOf(flow, flagSYN).Frame())
		}
	}
	s := f.service(1, packet.TCP, stays, leaves)
	b.set(s)
	begin(s)
	had := b.counters().Flows[s.VIP]
	if had[stays].Begun == 0 || had[stays].Begun+had[leaves].Begun != 40 {
		b.t.Errorf("begun %+v, want 40 of both", had)
	}
	b.set(f.service(1, packet.TCP, stays))
	equal(b.t, "the one that stays", b.counters().Flows[s.VIP], map[netip.AddrPort]lb.FlowCount{stays: had[stays]})
	b.set(s)
	equal(b.t, "the one that is back", b.counters().Flows[s.VIP][leaves], lb.FlowCount{})
	b.remove(s.VIP)
	b.set(s)
	equal(b.t, "a new service", b.counters().Flows[s.VIP], map[netip.AddrPort]lb.FlowCount{stays: {}, leaves: {}})
}

// testOfSome: what is counted, recorded and resolved of some services is theirs among all, of however many they are asked; of what
// there is not it is nothing.
func testOfSome(b fixture, f family) {
	var all []lb.Service
	for n := range byte(16) {
		s := f.service(1, packet.TCP, f.on(West, 1+n%3, 8000+uint16(n)))
		s.VIP.Address, s.Tracking, s.Idle = withPort(s.VIP.Address, 1000+uint16(n)), lb.TrackAlways, time.Minute
		b.set(s)
		for range n + 1 {
			b.send(East, packetOf(flowTo(s.VIP), flagSYN).Frame())
		}
		all = append(all, s)
	}
	b.remove(all[7].VIP)
	other := all[3]
	other.Replicas = append([]lb.Replica{{Address: f.on(West, 1, 9)}}, other.Replicas...)
	counted, recorded := b.counters(), b.listFlows()
	if len(recorded) != 15 {
		b.t.Errorf("flows of %d services are recorded, want 15", len(recorded))
	}
	for _, of := range [][]lb.Service{nil, all[:1], all[15:], all[6:8], {all[14], other}, all} {
		what := fmt.Sprintf(" of %d services", len(of))
		packets := must(b.t, "count", func() ([][]lb.Count, error) { return b.Dataplane.ReplicaCounts(of) })
		flows := must(b.t, "count flows", func() ([][]lb.FlowCount, error) { return b.Dataplane.FlowCounts(of) })
		equal(b.t, "packets"+what, packets, ofEach(of, func(v lb.VIP, r netip.AddrPort) lb.Count { return counted.Replicas[v][r] }))
		equal(b.t, "flows"+what, flows, ofEach(of, func(v lb.VIP, r netip.AddrPort) lb.FlowCount { return counted.Flows[v][r] }))
		for n, hops := range b.nextHops(of) {
			for k, hop := range hops {
				_, there := counted.Replicas[of[n].VIP][of[n].Replicas[k].Address]
				equal(b.t, "next hop"+what, hop.Interface == West, there)
			}
		}
	}
	equal(b.t, "records", b.listFlows(all[2].VIP, all[7].VIP), map[lb.VIP]lb.Flows{all[2].VIP: recorded[all[2].VIP]})
	if n := counted.Flows[all[15].VIP]; len(n) != 1 || n[all[15].Replicas[0].Address].Begun != 16 {
		b.t.Errorf("%+v, want 16 flows", n)
	}
}

// ofEach returns what there is of each replica of some services.
func ofEach[E any](of []lb.Service, what func(lb.VIP, netip.AddrPort) E) [][]E {
	all := make([][]E, len(of))
	for n, s := range of {
		all[n] = []E{}
		for _, r := range s.Replicas {
			all[n] = append(all[n], what(s.VIP, r.Address))
		}
	}
	return all
}

// nextHops returns how packets to the replicas of some services leave.
func (b fixture) nextHops(of []lb.Service) [][]lb.ReplicaHop {
	b.t.Helper()
	return must(b.t, "list next hops", func() ([][]lb.ReplicaHop, error) { return b.Dataplane.NextHops(of) })
}
