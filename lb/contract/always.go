package contract

import (
	"net/netip"
	"testing"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// testAlways tests services that remember every flow.
func testAlways(t *testing.T, open func(t *testing.T) Harness) {
	open = shared(t, open)
	for _, p := range protocols() {
		for name, test := range map[string]func(fixture, lb.Service){
			"recorded": testAlwaysRecorded, "changes": testAlwaysChanges, "down": testAlwaysDown, "silence": testAlwaysSilence,
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
