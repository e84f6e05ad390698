package contract

import (
	"net/netip"
	"testing"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// testEnded tests what becomes of flows that have ended, and of others with the same addresses and ports.
func testEnded(t *testing.T, open func(t *testing.T) Harness) {
	open = shared(t, open)
	for name, test := range map[string]func(fixture, lb.Service){
		"ports used again, replica draining": testAgainDraining, "ports used again, replicas added": testAgainAdded,
		"starting": testStarting, "counted": testEndedCounted, "reset by a stranger": testForgedReset, "one side": testOneSide,
		"answers unseen": testAnswersUnseen,
	} {
		t.Run(name, func(t *testing.T) { eachTracked(t, open, packet.TCP, lb.TrackAlways, test) })
	}
}

// answers has a replica send a packet to the client of a flow.
func (b fixture) answers(f packet.Flow, replica netip.AddrPort, flags uint8) {
	b.t.Helper()
	answer := packet.Flow{Source: replica, Destination: f.Source, Protocol: f.Protocol}
	if v := b.send(West, packetOf(answer, flags).Frame()); v.Action != oracle.Redirect {
		b.t.Errorf("an answer to %v: %v", f, v.Action)
	}
}

// established has flows start and go on, and returns their replica by flow.
func established(b fixture, s lb.Service, flows []packet.Flow) map[packet.Flow]netip.AddrPort {
	b.t.Helper()
	with := map[packet.Flow]netip.AddrPort{}
	for _, f := range flows {
		with[f] = owner(s, f)
		b.goes(f, flagSYN, with[f], "a new flow")
		b.goes(f, flagACK, with[f], "its next packet")
	}
	return with
}

// closings are ways in which a flow ends.
func closings() map[string]func(b fixture, f packet.Flow, replica netip.AddrPort) {
	return map[string]func(b fixture, f packet.Flow, replica netip.AddrPort){
		"reset by the client":  func(b fixture, f packet.Flow, r netip.AddrPort) { b.goes(f, flagRST, r, "a reset") },
		"reset by the replica": func(b fixture, f packet.Flow, r netip.AddrPort) { b.answers(f, r, flagRST|flagACK) },
		"closed by the client first": func(b fixture, f packet.Flow, r netip.AddrPort) {
			b.goes(f, flagFIN|flagACK, r, "a FIN")
			b.answers(f, r, flagFIN|flagACK)
			b.goes(f, flagACK, r, "the last packet")
		},
		"closed by the replica first": func(b fixture, f packet.Flow, r netip.AddrPort) {
			b.answers(f, r, flagFIN|flagACK)
			b.goes(f, flagACK, r, "an acknowledgement")
			b.goes(f, flagFIN|flagACK, r, "a FIN")
		},
	}
}

// testAgainDraining: a flow from the ports of one that a draining replica has, or had, goes to another replica.
func testAgainDraining(b fixture, was lb.Service) {
	fs := clients(was, 1000, 40)
	home := established(b, was, fs)
	drained := with(was, lb.Draining, 1)
	b.set(drained)
	for i, f := range fs {
		if i%2 == 0 {
			b.goes(f, flagRST, home[f], "a reset")
		} else {
			b.goes(f, flagACK, home[f], "a flow whose end nobody sees")
		}
		want := home[f]
		if want == was.Replicas[1].Address || i%2 == 0 {
			want = owner(drained, f)
		}
		b.goes(f, flagSYN, want, "a flow from the same ports")
		b.goes(f, flagACK, want, "its next packet")
		b.goes(f, flagSYN, want, "its SYN, which comes late")
	}
	equal(b.t, "flows of the draining replica", b.flows(was.VIP).Replicas[was.Replicas[1].Address].Established, 0)
}

// testAgainAdded: once a flow has ended, one from the same ports goes to the owner of its slot. While it goes on, a SYN
// starts nothing.
func testAgainAdded(b fixture, was lb.Service) {
	more := add(5, 6, 7)(was)
	for name, closing := range closings() {
		b.set(was)
		fs := clients(was, 1000, 30)
		home := established(b, was, fs)
		b.set(more)
		for _, f := range fs {
			b.goes(f, flagSYN, home[f], "a SYN during a flow")
			closing(b, f, home[f])
			b.goes(f, flagSYN, owner(more, f), "a flow from the ports of one "+name)
			b.goes(f, flagACK, owner(more, f), "its next packet")
		}
		b.remove(was.VIP)
	}
	b.set(was)
}

// testStarting: a SYN sent again goes where the first one went, though that replica drains. It does not keep the
// record alive.
func testStarting(b fixture, was lb.Service) {
	fs := clients(was, 1000, 40)
	for _, f := range fs {
		b.goes(f, flagSYN, owner(was, f), "a new flow")
	}
	drained := with(was, lb.Draining, 1)
	b.set(drained)
	left := was.Replicas[1].Address
	for range lb.StartingSteps - 1 {
		b.advance(step)
		for _, f := range fs {
			b.goes(f, flagSYN, owner(was, f), "a SYN sent again")
		}
	}
	b.goes(fs[0], flagACK, owner(was, fs[0]), "a flow that starts late")
	b.advance(step)
	for _, f := range fs[1:] {
		want := owner(was, f)
		if want == left {
			want = owner(drained, f)
		}
		b.goes(f, flagSYN, want, "a SYN that a draining replica does not answer")
	}
	equal(b.t, "half-open flows of the draining replica", b.flows(was.VIP).Replicas[left].HalfOpen, 0)
	b.goes(fs[0], flagACK, owner(was, fs[0]), "a flow that started late")
}

// testEndedCounted: flows that have ended are not counted two steps later, and are forgotten after the idle time.
func testEndedCounted(b fixture, was lb.Service) {
	for name, closing := range closings() {
		fs := clients(was, 1000, 10)
		home := established(b, was, fs)
		b.answers(fs[0], home[fs[0]], flagACK)
		for _, f := range fs[1:] {
			closing(b, f, home[f])
		}
		want := map[netip.AddrPort]lb.ReplicaFlows{}
		for _, f := range fs {
			count(want, home[f], 1, 0)
		}
		b.advance(step)
		b.remembers(was, name+", a step ago", 0, want)
		b.advance((lb.EndedSteps - 1) * step)
		b.remembers(was, name+", two steps ago", 0, map[netip.AddrPort]lb.ReplicaFlows{home[fs[0]]: {Established: 1}})
		equal(b.t, name+": record within the idle time", b.explain(lb.Probe{Flow: fs[1]}).Record, lb.Established)
		b.advance(idle)
		b.remembers(was, name+", long ago", 0, nil)
	}
}

// testForgedReset: a flow that was not reset by its ends stays with its replica, whether it goes on at once or is silent,
// and counts again when it goes on.
func testForgedReset(b fixture, was lb.Service) {
	fs := clients(was, 1000, 20)
	home := established(b, was, fs)
	b.set(with(was, lb.Draining, 0, 1))
	for i, f := range fs {
		b.goes(f, flagRST, home[f], "a forged reset")
		if i%2 == 0 {
			p := packetOf(f, flagACK)
			p.Payload = []byte("data")
			equal(b.t, "a flow with a forged reset goes to", destinationOf(b.sentOn(p.Frame()).Frame), home[f])
		}
	}
	b.advance(idle / 2)
	n := func() (sum uint64) {
		for _, r := range b.flows(was.VIP).Replicas {
			sum += r.Established
		}
		return sum
	}
	equal(b.t, "flows that are known to go on", n(), 10)
	b.advance(idle / 2)
	for _, f := range fs {
		b.goes(f, flagACK, home[f], "a flow that was silent after a forged reset")
	}
	equal(b.t, "flows when all go on", n(), 20)
}

// testOneSide: a flow that one side has closed, however often it says so, goes on.
func testOneSide(b fixture, was lb.Service) {
	fs := clients(was, 1000, 20)
	home := established(b, was, fs)
	for i, f := range fs {
		for range 2 {
			if i%2 == 0 {
				b.goes(f, flagFIN|flagACK, home[f], "a FIN")
			} else {
				b.answers(f, home[f], flagFIN|flagACK)
			}
		}
	}
	b.advance(idle)
	want := map[netip.AddrPort]lb.ReplicaFlows{}
	for _, f := range fs {
		count(want, home[f], 1, 0)
	}
	b.remembers(was, "half closed", 0, want)
	b.set(add(5, 6)(was))
	for _, f := range fs {
		b.goes(f, flagSYN, home[f], "a SYN during a flow")
	}
}

// testAnswersUnseen: without nat only the client is heard, and its FIN ends the flow.
func testAnswersUnseen(b fixture, nat lb.Service) {
	for _, mode := range []lb.Mode{lb.DSR, lb.IPIP} {
		s := nat.Clone()
		s.Mode = mode
		for i := range s.Replicas {
			s.Replicas[i].Address = withPort(s.Replicas[i].Address, s.VIP.Address.Port())
		}
		b.set(s)
		want := map[netip.AddrPort]lb.ReplicaFlows{}
		for i, f := range clients(s, 2000, 12) {
			for _, flags := range []uint8{flagSYN, flagACK, []uint8{flagACK, flagFIN | flagACK, flagRST}[i%3], flagACK} {
				b.sentOn(packetOf(f, flags).Frame())
			}
			if i%3 == 0 {
				count(want, owner(s, f), 1, 0)
			}
		}
		b.advance(lb.EndedSteps * step)
		b.remembers(s, "after FINs and resets of clients", 0, want)
		b.advance(2 * idle)
	}
	b.set(nat)
}
