package contract

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// testAlways tests services that remember every flow.
func testAlways(t *testing.T, open func(t *testing.T) Harness) {
	open = shared(t, open)
	for _, p := range protocols() {
		for name, test := range map[string]func(fixture, lb.Service){
			"recorded": testAlwaysRecorded, "changes": testAlwaysChanges, "down": testAlwaysDown, "silence": testAlwaysSilence,
			"direct": testAlwaysDirect, "answers keep": testAlwaysKeeps, "later": testAlwaysLater, "absent": testAlwaysAbsent,
			"shared": testAlwaysShared, "port taken": testAlwaysPort, "modes": testAlwaysModes, "several absent": testAlwaysSeveral,
		} {
			t.Run(name+" "+p.String(), func(t *testing.T) { eachTracked(t, open, p, lb.TrackAlways, test) })
		}
	}
}

// begun starts n flows and sends a second packet of every other one. It returns what is recorded of them then.
func begun(b fixture, s lb.Service, port uint16, n int) map[netip.AddrPort]lb.ReplicaFlows {
	want := map[netip.AddrPort]lb.ReplicaFlows{}
	for i, f := range clients(s, port, n) {
		to := owner(s, f)
		b.goes(f, flagSYN, to, "a new flow")
		count(want, to, 0, 1)
		if i%2 == 1 {
			b.goes(f, flagACK, to, "its next packet")
			count(want, to, 1, -1)
		}
	}
	return want
}

func testAlwaysRecorded(b fixture, s lb.Service) {
	b.remembers(s, "before any", 0, nil)
	want := begun(b, s, 1000, 40)
	b.remembers(s, "recorded", 0, want)
	for i, f := range clients(s, 1000, 40) {
		b.goes(f, flagSYN, owner(s, f), "a SYN again")
		if s.VIP.Protocol == packet.UDP && i%2 == 0 { // is a packet like others
			count(want, owner(s, f), 1, -1)
		}
	}
	b.remembers(s, "after their first packets once more", 0, want)
	if s.VIP.Protocol == packet.TCP {
		for _, f := range clients(s, 5000, 20) {
			b.goes(f, flagACK, owner(s, f), "a flow that was not seen to begin")
			count(want, owner(s, f), 0, 1)
		}
		for _, f := range clients(s, 6000, 5) {
			b.goes(f, flagSYN|0xc0, owner(s, f), "a SYN that offers ECN")
			count(want, owner(s, f), 0, 1)
		}
	}
	b.remembers(s, "after flows that were not seen to begin", 0, want)
}

// testAlwaysChanges changes the service in several ways: recorded flows stay with their replicas and are
// counted as before. Of flows that start after a change only the first packet is sent.
func testAlwaysChanges(b fixture, was lb.Service) {
	begun(b, was, 1000, 40)
	want := map[netip.AddrPort]lb.ReplicaFlows{}
	for _, f := range clients(was, 1000, 40) {
		count(want, owner(was, f), 1, 0)
	}
	for i, change := range []func(lb.Service) lb.Service{
		drain(1), add(5, 6), edit(func(s *lb.Service) { s.Seed = 77 }), drain(0, 1, 2), same, edit(func(s *lb.Service) { s.Hash = lb.ToeplitzHash }),
	} {
		s := change(was)
		b.set(s)
		for _, f := range clients(was, 1000, 40) {
			b.goes(f, flagACK, owner(was, f), "a recorded flow")
		}
		for a, n := range b.flows(s.VIP).Replicas {
			equal(b.t, "established flows of "+a.String(), n.Established, want[a].Established)
		}
		for _, f := range clients(s, 10000+1000*uint16(i), 20) {
			b.goes(f, flagSYN, owner(s, f), "a new flow")
		}
	}
}

// testAlwaysDown sets a replica down and active again. TCP flows return to it. UDP flows stay where they went
// meanwhile: their packets do not tell whether the flow starts again.
func testAlwaysDown(b fixture, s lb.Service) {
	begun(b, s, 1000, 40)
	off := with(s, lb.Down, 0)
	b.set(off)
	ill, udp := s.Replicas[0].Address, s.VIP.Protocol == packet.UDP
	for _, f := range clients(s, 1000, 40) {
		if owner(s, f) != ill {
			b.goes(f, flagACK, owner(s, f), "a flow of a replica that serves")
		} else if got := b.arrives(f, flagACK); got == ill || !got.IsValid() || udp && got != owner(off, f) {
			b.t.Errorf("%v goes to %v, its replica being down", f, got)
		}
	}
	b.set(s)
	for _, f := range clients(s, 1000, 40) {
		home := owner(s, f)
		if home == ill && udp {
			home = owner(off, f)
		}
		b.goes(f, flagACK, home, "a flow whose replica is back")
	}
}

// testAlwaysSilence lets flows be silent for the idle time, and for longer.
func testAlwaysSilence(b fixture, s lb.Service) {
	want := begun(b, s, 1000, 40)
	b.advance(idle / 2)
	early := clients(s, 1000, 1)[0]
	b.advance(idle / 2)
	b.remembers(s, "after the idle time", 0, want)
	b.goes(early, flagACK, owner(s, early), "a flow that was silent for the idle time")
	b.advance(step)
	b.remembers(s, "after more than the idle time", 0, map[netip.AddrPort]lb.ReplicaFlows{owner(s, early): {Established: 1}})
	b.advance(idle)
	b.remembers(s, "after twice the idle time", 0, nil)
	b.goes(early, flagSYN, owner(s, early), "a flow that begins anew")
	b.remembers(s, "with one anew", 0, map[netip.AddrPort]lb.ReplicaFlows{owner(s, early): {HalfOpen: 1}})
}

// judged sends a packet of a replica to the client of a flow: the datapath must send it on with the VIP as its
// source, or, with no VIP, leave it as it is. It is explained first.
func (b fixture) judged(replica, client netip.AddrPort, flags uint8, want lb.VIP, why string) {
	b.t.Helper()
	flow := packet.Flow{Source: replica, Destination: client, Protocol: want.Protocol}
	frame := packetOf(flow, flags).Frame()
	action, reason, source := oracle.Redirect, lb.Returned, want.Address
	if !want.Address.IsValid() {
		action, reason, source = oracle.Pass, lb.NotOurs, replica
	}
	e := b.explain(lb.Probe{Frame: frame})
	v := b.send(West, frame)
	if got := sourceOf(v.Frame); v.Action != action || got != source || e.Reason != reason {
		b.t.Errorf("%s: %v from %v (flags %#x) ends in %v from %v, explained as %v; want %v from %v", why, flow, replica, flags, v.Action, got, e.Reason, action, source)
	}
}

// none is no VIP.
func none(p packet.Protocol) lb.VIP { return lb.VIP{Protocol: p} }

// sourceOf reads from where a plain frame comes.
func sourceOf(frame []byte) netip.AddrPort {
	at, length, l4 := 26, 4, 34
	if frame[12] == 0x86 {
		at, length, l4 = 22, 16, 54
	}
	a, _ := netip.AddrFromSlice(frame[at : at+length])
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(frame[l4:]))
}

// testAlwaysDirect: only what answers a flow is an answer. A replica may begin flows from its own port, and be reached
// there without the VIP.
func testAlwaysDirect(b fixture, s lb.Service) {
	f, p := clients(s, 1000, 1)[0], s.VIP.Protocol
	home := owner(s, f)
	for _, r := range s.Replicas {
		b.judged(r.Address, f.Source, flagSYN, none(p), "a flow that the replica begins")
	}
	b.goes(f, flagSYN, home, "a flow")
	b.judged(home, f.Source, flagSYN|flagACK, s.VIP, "its answer")
	b.goes(f, flagACK, home, "its next packet")
	b.judged(home, f.Source, flagACK, s.VIP, "another answer")
	b.judged(home, withPort(f.Source, 999), flagACK, none(p), "an answer to a client that has reached the replica directly")
	for _, r := range s.Replicas {
		if r.Address != home {
			b.judged(r.Address, f.Source, flagACK, none(p), "a packet of another replica to the client")
		}
	}
	b.becomes(packetOf(packet.Flow{Source: f.Source, Destination: home, Protocol: p}, flagSYN).Frame(), lb.NotOurs, "a client reaches a replica directly")
}

// testAlwaysKeeps: what a replica sends keeps the flow recorded, though its client is silent. It does not keep a TCP flow
// that is half-open.
func testAlwaysKeeps(b fixture, s lb.Service) {
	fs, tcp := clients(s, 1000, 2), s.VIP.Protocol == packet.TCP
	opened, half := fs[0], fs[1]
	for _, f := range fs {
		b.goes(f, flagSYN, owner(s, f), "a flow")
	}
	b.goes(opened, flagACK, owner(s, opened), "its next packet")
	for range 3 * lb.IdleSteps {
		b.advance(step)
		b.judged(owner(s, opened), opened.Source, flagACK, s.VIP, "a long answer")
		if !tcp {
			b.judged(owner(s, half), half.Source, 0, s.VIP, "a long answer to a single packet")
		} else if b.flows(s.VIP).Replicas[owner(s, half)].HalfOpen > 0 {
			b.judged(owner(s, half), half.Source, flagSYN|flagACK, s.VIP, "a SYN-ACK sent again")
		}
	}
	want := map[netip.AddrPort]lb.ReplicaFlows{}
	count(want, owner(s, opened), 1, 0)
	if !tcp {
		count(want, owner(s, half), 0, 1)
	}
	b.remembers(s, "after a long download", 0, want)
	b.advance(idle + step)
	b.judged(owner(s, opened), opened.Source, flagACK, none(s.VIP.Protocol), "an answer after the idle time")
}

// testAlwaysLater: when a service begins to record every flow, what it has not recorded is still answered for an idle
// time. When it ends, everything is an answer again.
func testAlwaysLater(b fixture, s lb.Service) {
	fs := clients(s, 1000, 2)
	active, silent := fs[0], fs[1]
	before := s.Clone()
	if before.Tracking = lb.TrackChanges; s.VIP.Protocol == packet.UDP {
		before.Tracking, before.Idle = lb.Stateless, 0
	}
	b.set(before)
	for _, f := range fs {
		b.goes(f, flagACK, owner(s, f), "a flow from before")
	}
	b.set(s)
	b.advance(idle / 2)
	b.goes(active, flagACK, owner(s, active), "a packet of it")
	for _, f := range fs {
		b.judged(owner(s, f), f.Source, flagACK, s.VIP, "its answer")
	}
	b.set(and(s, familyOf(s.VIP.Address.Addr()).on(West, 9, 8080))) // does not begin anew
	b.set(s)
	b.advance(idle / 2)
	b.judged(owner(s, silent), silent.Source, flagACK, s.VIP, "the answer to a flow that was silent for the idle time")
	b.advance(step)
	b.judged(owner(s, active), active.Source, flagACK, s.VIP, "the answer to a flow that is recorded by now")
	b.judged(owner(s, silent), silent.Source, flagACK, none(s.VIP.Protocol), "the answer to one that was silent for longer than the idle time")
	b.set(before)
	b.judged(owner(s, silent), silent.Source, flagACK, s.VIP, "an answer of a service that does not record every flow")
}

// testAlwaysAbsent: of a flow whose replica is down the packets go to another one, and its answers, resets mostly, are
// answers.
func testAlwaysAbsent(b fixture, s lb.Service) {
	for _, f := range clients(s, 1000, 20) {
		b.goes(f, flagSYN, owner(s, f), "a flow")
		b.goes(f, flagACK, owner(s, f), "its next packet")
	}
	off := with(s, lb.Down, 0)
	b.set(off)
	for _, f := range clients(s, 1000, 20) {
		to := b.arrives(f, flagACK)
		b.judged(to, f.Source, flagRST, s.VIP, "the answer of the replica that has the packet")
		if to != owner(s, f) {
			b.judged(owner(s, f), f.Source, flagACK, map[bool]lb.VIP{true: s.VIP, false: none(s.VIP.Protocol)}[s.VIP.Protocol == packet.TCP],
				"a late answer of the replica that is down: of UDP, the flow is with another one now")
		}
	}
}

// testAlwaysSeveral: if the flows from one port of a client to several VIPs are all with replicas that are down, nothing tells
// which of them another replica answers. It answers the only one of that kind.
func testAlwaysSeveral(b fixture, s lb.Service) {
	if s.VIP.Protocol == packet.UDP {
		return // each is recorded with the other replica by its next packet
	}
	other := beside(s, 2)
	b.set(other)
	number := func(f packet.Flow, of lb.Service) int {
		return slices.IndexFunc(of.Replicas, func(r lb.Replica) bool { return r.Address == owner(of, f) })
	}
	port := uint16(1000)
	for ; number(clients(s, port, 1)[0], s) == number(clients(other, port, 1)[0], other); port++ {
	}
	f, g := clients(s, port, 1)[0], clients(other, port, 1)[0]
	for _, flags := range []uint8{flagSYN, flagACK} {
		b.goes(f, flags, owner(s, f), "a flow")
		b.goes(g, flags, owner(other, g), "one from the same port to another VIP and replica")
	}
	first, second := number(f, s), number(g, other)
	third := slices.IndexFunc(s.Replicas, func(r lb.Replica) bool {
		return r.Address != s.Replicas[first].Address && r.Address != s.Replicas[second].Address
	})
	b.set(with(s, lb.Down, first), with(other, lb.Down, second))
	b.judged(s.Replicas[third].Address, f.Source, flagRST, none(packet.TCP), "a third replica answers one of them")
	b.set(other)
	b.judged(s.Replicas[third].Address, f.Source, flagRST, s.VIP, "... the first one, since the second is with its own again")
	b.remove(other.VIP)
}

// beside returns a service with the replicas of s, at another VIP.
func beside(s lb.Service, number byte) lb.Service {
	s = s.Clone()
	s.VIP = familyOf(s.VIP.Address.Addr()).vip(number, s.VIP.Protocol)
	return s
}

// testAlwaysShared: several services have the same replicas. An answer comes from the VIP that the client has asked.
func testAlwaysShared(b fixture, s lb.Service) {
	services := []lb.Service{s, beside(s, 2), beside(s, 4), beside(s, 5)}
	b.set(services[1:]...)
	for i, of := range services {
		for _, f := range clients(of, uint16(1000*(i+1)), 10) {
			home := owner(of, f)
			b.goes(f, flagSYN, home, "a flow")
			b.judged(home, f.Source, flagSYN|flagACK, of.VIP, "its answer")
			b.goes(f, flagACK, home, "its next packet")
			b.judged(home, f.Source, flagACK, of.VIP, "another answer")
			b.judged(home, withPort(f.Source, 999), flagACK, none(s.VIP.Protocol), "a packet to a client that has asked no VIP")
		}
	}
	b.remove(services[0].VIP)
	for i, of := range services[1:] {
		f := clients(of, uint16(1000*(i+2)), 1)[0]
		b.judged(owner(of, f), f.Source, flagACK, of.VIP, "an answer, another VIP being gone")
	}
	for _, of := range services[1:] {
		b.remove(of.VIP)
	}
	b.set(s)
}

// testAlwaysPort: a replica cannot tell two flows from one port of a client apart, so the second one does not begin before
// the first one has ended. It never gets the answers of the first.
func testAlwaysPort(b fixture, s lb.Service) {
	other := beside(s, 2)
	b.set(other)
	for i := range uint16(40) {
		first, second := clients(s, 1000+i, 1)[0], clients(other, 1000+i, 1)[0]
		home := owner(s, first)
		b.goes(first, flagSYN, home, "a flow")
		b.goes(first, flagACK, home, "its next packet")
		if owner(other, second) != home {
			b.goes(second, flagSYN, owner(other, second), "a flow from the same port to another replica")
			continue
		}
		for _, flags := range []uint8{flagSYN, flagACK} {
			b.becomes(packetOf(second, flags).Frame(), lb.PortTaken, "a flow begins from the same port to the same replica")
		}
		b.judged(home, first.Source, flagACK, s.VIP, "an answer to the first flow")
		if s.VIP.Protocol == packet.UDP {
			continue
		}
		b.goes(first, flagFIN|flagACK, home, "a FIN")
		b.judged(home, first.Source, flagFIN|flagACK, s.VIP, "another one")
		b.goes(second, flagSYN, home, "a flow from the port of one that has ended")
		b.judged(home, second.Source, flagSYN|flagACK, other.VIP, "its answer")
		b.becomes(packetOf(first, flagACK).Frame(), lb.PortTaken, "the first one goes on")
	}
	b.remove(other.VIP)
}

// testAlwaysModes: flows by another mode were not compared with those of other services, so they are forgotten where
// answers begin to be told apart by them.
func testAlwaysModes(b fixture, s lb.Service) {
	s = edit(func(s *lb.Service) {
		for i, r := range s.Replicas {
			s.Replicas[i].Address = withPort(r.Address, s.VIP.Address.Port())
		}
	})(s)
	direct, other := s.Clone(), beside(s, 2)
	direct.Mode = lb.DSR
	b.set(direct, other)
	f, g := clients(s, 1000, 1)[0], clients(other, 1000, 1)[0]
	same := -1
	for i := range 40 {
		if f, g = clients(s, 1000, 40)[i], clients(other, 1000, 40)[i]; owner(s, f) == owner(other, g) {
			same = i
			break
		}
	}
	if same < 0 {
		b.t.Fatal("no port leads to the same replica")
	}
	b.send(East, packetOf(f, flagSYN).Frame())
	b.goes(g, flagSYN, owner(other, g), "a flow")
	b.set(s)
	b.remembers(s, "after the mode is nat", 0, nil)
	b.judged(owner(s, f), f.Source, flagACK, other.VIP, "an answer to the other one")
	b.becomes(packetOf(f, flagSYN).Frame(), lb.PortTaken, "the same flow begins by nat")
	b.remove(other.VIP)
}
