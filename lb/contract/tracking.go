package contract

import (
	"testing"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// testTracking tests each tracking, and changes of it.
func testTracking(t *testing.T, open func(t *testing.T) Harness) {
	open = shared(t, open)
	for name, test := range map[string]func(fixture, lb.Service){
		"never": testNever, "begins": testTrackingBegins, "ends": testTrackingEnds, "changes to always": testToAlways,
		"udp": testUDPTracking, "idle time": testIdleChanges,
	} {
		t.Run(name, func(t *testing.T) { eachTracked(t, open, packet.TCP, lb.Stateless, test) })
	}
}

// tracking returns a copy with another tracking.
func tracking(s lb.Service, how lb.Tracking) lb.Service {
	s = s.Clone()
	if s.Tracking, s.Idle = how, idle; how == lb.Stateless {
		s.Idle = 0
	}
	return s
}

// testNever: the table alone decides, whatever the packet.
func testNever(b fixture, was lb.Service) {
	for i, change := range []func(lb.Service) lb.Service{same, drain(1), add(5), down(0), edit(func(s *lb.Service) { s.Seed = 5 }), drain(0, 1, 2, 3), same} {
		s := change(was)
		b.set(s)
		for _, f := range clients(s, 1000, 20) {
			for _, flags := range []uint8{flagSYN, flagACK} {
				b.goes(f, flags, owner(s, f), "a service without memory, change "+string(rune('0'+i)))
			}
		}
		b.remembers(s, "never", 0, nil)
	}
}

// testTrackingBegins: flows from before go by the previous table.
func testTrackingBegins(b fixture, was lb.Service) {
	for _, how := range []lb.Tracking{lb.TrackChanges, lb.TrackAlways} {
		b.set(was)
		s := with(tracking(was, how), lb.Draining, 1)
		b.set(s)
		inTransition, want := transitions(was, s)
		b.remembers(s, "when tracking begins with a change", inTransition, want)
		for _, f := range clients(s, 1000, 20) {
			b.goes(f, flagACK, owner(was, f), "a flow from before")
		}
		for _, f := range clients(s, 2000, 20) {
			b.goes(f, flagSYN, owner(s, f), "a new flow")
		}
		b.set(tracking(was, how))
		for _, f := range clients(s, 2000, 20) {
			b.goes(f, flagACK, owner(s, f), "a flow that was new")
		}
	}
}

// testTrackingEnds: all flows move at once, and nothing is recorded later.
func testTrackingEnds(b fixture, was lb.Service) {
	s := with(tracking(was, lb.TrackAlways), lb.Draining, 1)
	b.set(tracking(was, lb.TrackAlways))
	for _, f := range clients(s, 1000, 20) {
		b.goes(f, flagSYN, owner(was, f), "a new flow")
	}
	b.set(s)
	never := tracking(s, lb.Stateless)
	b.set(never)
	b.remembers(never, "when tracking has ended", 0, nil)
	for _, f := range clients(s, 1000, 20) {
		b.goes(f, flagACK, owner(s, f), "tracking has ended")
	}
	b.set(s)
	b.remembers(s, "when tracking begins again", 0, nil)
	b.unrecorded(clients(s, 1000, 20), "tracking had ended")
}

// testToAlways changes the tracking from changes to always and back.
func testToAlways(b fixture, was lb.Service) {
	changes, always := tracking(was, lb.TrackChanges), tracking(was, lb.TrackAlways)
	b.remove(was.VIP)
	b.set(changes, always)
	b.remembers(always, "without a change of replicas", 0, nil)
	want := begun(b, always, 1000, 20)
	b.remembers(always, "always", 0, want)
	b.set(changes)
	b.remembers(changes, "changes alone", 0, want)
	for _, f := range clients(was, 2000, 20) {
		b.goes(f, flagSYN, owner(was, f), "a new flow in a settled service")
	}
	b.remembers(changes, "changes alone, with new flows", 0, want)
	s := with(changes, lb.Draining, 0)
	b.set(s)
	for _, f := range clients(was, 1000, 20) {
		b.goes(f, flagACK, owner(was, f), "a flow recorded by the way")
	}
}

// testUDPTracking: no packet of UDP says that it is from before, so no slot goes into transition.
func testUDPTracking(b fixture, tcp lb.Service) {
	was := tcp.Clone()
	was.VIP.Protocol = packet.UDP
	b.remove(tcp.VIP)
	b.set(was)
	for _, f := range clients(was, 1000, 20) {
		b.goes(f, 0, owner(was, f), "a service without memory")
	}
	s := with(tracking(was, lb.TrackAlways), lb.Draining, 1)
	b.set(s)
	b.remembers(s, "when tracking begins", 0, nil)
	for _, f := range clients(s, 1000, 20) {
		b.goes(f, 0, owner(s, f), "a flow that nobody knows")
	}
	b.set(tcp)
	b.remove(was.VIP)
}

// testIdleChanges makes the idle time longer and shorter while flows are silent.
func testIdleChanges(b fixture, was lb.Service) {
	s := tracking(was, lb.TrackAlways)
	b.set(s)
	b.advance(idle + step) // the previous owners from when tracking began have expired
	b.remembers(s, "before any", 0, nil)
	f := clients(s, 1000, 1)[0]
	b.goes(f, flagSYN, owner(s, f), "a new flow")
	longer := s.Clone()
	longer.Idle = 2 * idle
	b.set(longer)
	b.advance(2*idle - 1)
	equal(b.t, "record within the longer idle time", b.explain(lb.Probe{Flow: f}).Record, lb.HalfOpen)
	b.goes(f, flagACK, owner(s, f), "a flow within the longer idle time")
	b.set(s)
	b.advance(idle - 1)
	equal(b.t, "record within the shorter idle time", b.explain(lb.Probe{Flow: f}).Record, lb.Established)
	b.advance(step + 1)
	equal(b.t, "record after the shorter idle time", b.explain(lb.Probe{Flow: f}).Record, lb.NoRecord)
}
