package contract

import (
	"net/netip"
	"testing"

	"lbctl/lb"
	"lbctl/lb/scheduler"
	"lbctl/rss/packet"
)

// testRecords tests how many flows are recorded.
func testRecords(t *testing.T, open func(t *testing.T) Harness) {
	open = shared(t, open)
	for name, test := range map[string]func(fixture, lb.Service){
		"settled":            testSettled,
		"started":            testStarted,
		"old flows":          testOldFlows,
		"silence":            testSilence,
		"one stays awake":    testAwake,
		"a replica gone":     testReplicaGone,
		"a replica down":     testReplicaDown,
		"service set anew":   testServiceAnew,
		"all replicas gone":  testAllGone,
		"no replicas before": testNoneBefore,
		"draining alone":     testDrainingAlone,
	} {
		t.Run(name, func(t *testing.T) { eachTracked(t, open, packet.TCP, lb.TrackChanges, test) })
	}
}

// transitions returns how many slots a first change puts into transition, and for how many of them, or of
// the previous table, each replica is the previous owner.
func transitions(was, is lb.Service) (inTransition uint32, oldFlows map[netip.AddrPort]lb.ReplicaFlows) {
	oldFlows = map[netip.AddrPort]lb.ReplicaFlows{}
	before, after, rehashed := scheduler.Build(was), scheduler.Build(is), rehashes(was, is)
	for i, r := range before {
		previous := was.Replicas[r].Address
		if !lists(is, previous) || !rehashed && previous == is.Replicas[after[i]].Address {
			continue
		}
		n := oldFlows[previous]
		n.OldFlowSlots++
		oldFlows[previous] = n
		inTransition++
	}
	if rehashed {
		inTransition = uint32(len(after))
	}
	return inTransition, oldFlows
}

// rehashes reports whether the slots of two versions are other parts of the hash space.
func rehashes(was, is lb.Service) bool {
	return was.Slots() != is.Slots() || was.Hash != is.Hash || was.Hash == lb.JHash && was.Seed != is.Seed
}

func lists(s lb.Service, a netip.AddrPort) bool {
	for _, r := range s.Replicas {
		if r.Address == a {
			return true
		}
	}
	return false
}

// isInTransition reports whether a first change puts the slot of a flow into transition.
func isInTransition(was, is lb.Service, f packet.Flow) bool {
	return rehashes(was, is) || owner(was, f) != owner(is, f)
}

// count changes how many records a replica has.
func count(all map[netip.AddrPort]lb.ReplicaFlows, a netip.AddrPort, established, halfOpen int) {
	n := all[a]
	n.Established += uint64(established)
	n.HalfOpen += uint64(halfOpen)
	all[a] = n
}

func testSettled(b fixture, s lb.Service) {
	for _, f := range clients(s, 1000, 20) {
		b.goes(f, flagSYN, owner(s, f), "a settled service")
		b.goes(f, flagACK, owner(s, f), "a settled service")
	}
	b.remembers(s, "of a settled service", 0, nil)
	b.set(s)
	b.remembers(s, "set once more", 0, nil)
}

// changed drains a replica and starts flows; every other one sends a second packet. It returns the service,
// the flows that are recorded, and what the datapath must tell of them.
func changed(b fixture, was lb.Service) (s lb.Service, recorded []packet.Flow, inTransition uint32, want map[netip.AddrPort]lb.ReplicaFlows) {
	s = with(was, lb.Draining, 1)
	b.set(s)
	inTransition, want = transitions(was, s)
	b.remembers(s, "after a change", inTransition, want)
	for i, f := range clients(s, 1000, 40) {
		to := owner(s, f)
		b.goes(f, flagSYN, to, "a new flow")
		b.goes(f, flagSYN, to, "its SYN again")
		stage := 0
		if i%2 == 1 {
			stage = 1
			b.goes(f, flagACK, to, "its next packet")
			b.goes(f, flagSYN, to, "a SYN once more")
		}
		if isInTransition(was, s, f) {
			recorded = append(recorded, f)
			count(want, to, stage, 1-stage)
		}
	}
	b.remembers(s, "with new flows", inTransition, want)
	if len(recorded) == 0 {
		b.t.Fatal("no flow met a slot in transition")
	}
	return s, recorded, inTransition, want
}

func testStarted(b fixture, was lb.Service) {
	s, recorded, inTransition, want := changed(b, was)
	for _, f := range recorded {
		if b.explain(lb.Probe{Flow: f}).Record == lb.HalfOpen {
			b.goes(f, flagSYN|flagACK, owner(s, f), "a SYN with ACK starts nothing")
			count(want, owner(s, f), 1, -1)
		}
	}
	b.remembers(s, "with all established", inTransition, want)
	last := with(was, lb.Draining, 1, 2)
	b.set(last)
	for _, f := range recorded {
		b.goes(f, flagRST, owner(s, f), "a recorded flow after a second change")
	}
}

// testOldFlows sends packets of flows whose first packet did not come: they count as flows from before the
// change, and are not recorded.
func testOldFlows(b fixture, was lb.Service) {
	s, _, inTransition, want := changed(b, was)
	for _, f := range clients(s, 5000, 40) {
		for _, flags := range []uint8{flagACK, flagACK | flagSYN, flagRST, 0, 0xff} {
			b.goes(f, flags, owner(was, f), "a flow from before")
		}
	}
	b.remembers(s, "with old flows", inTransition, want)
	s = with(was, lb.Down, 1) // the previous owner of many slots in transition does not serve now
	b.set(s)
	for _, f := range clients(s, 5000, 40) {
		to := owner(was, f)
		if to == was.Replicas[1].Address {
			to = owner(s, f)
		}
		b.goes(f, flagACK, to, "a flow from before, whose replica is down")
	}
}

// testSilence lets time pass: no record is removed before the idle time, and all are soon after it.
func testSilence(b fixture, was lb.Service) {
	s, recorded, inTransition, want := changed(b, was)
	b.advance(idle - 1)
	b.remembers(s, "just before the idle time", inTransition, want)
	b.advance(1)
	b.remembers(s, "after the idle time", inTransition, want)
	b.goes(recorded[0], flagACK, owner(s, recorded[0]), "a flow that was silent for the idle time")
	b.advance(step)
	f := b.flows(s.VIP)
	var n uint64
	for _, r := range f.Replicas {
		n += r.Established + r.HalfOpen
		if r.OldFlowSlots > 0 {
			b.t.Errorf("old flows are remembered for more than the idle time: %+v", f)
		}
	}
	equal(b.t, "records after nine eighths of the idle time", n, 1)
	b.advance(idle)
	b.remembers(s, "after more than the idle time", 0, nil)
	for _, f := range recorded {
		equal(b.t, "record after the idle time", b.explain(lb.Probe{Flow: f}).Record, lb.NoRecord)
	}
	b.goes(clients(s, 1000, 1)[0], flagSYN, owner(s, clients(s, 1000, 1)[0]), "a new flow")
	b.remembers(s, "settled again", 0, nil)
}

// testAwake keeps one flow alive: its slot stays in transition while the flow is elsewhere than the table says.
func testAwake(b fixture, was lb.Service) {
	s, recorded, _, _ := changed(b, was)
	awake := recorded[0]
	home := owner(s, awake)
	again := with(was, lb.Draining, 2) // replica 1 is active again
	for i := range again.Replicas {
		if again.Replicas[i].Address == home {
			again = with(was, lb.Draining, i)
		}
	}
	b.set(again)
	for range 6 {
		b.advance(idle / 2)
		b.goes(awake, flagACK, home, "a flow that is awake")
	}
	f := b.flows(s.VIP)
	if f.InTransition == 0 || f.Replicas[home] != (lb.ReplicaFlows{Established: 1}) {
		b.t.Errorf("flows while one is awake: %+v, want one of %v and its slot in transition", f, home)
	}
	b.advance(idle + step)
	b.remembers(again, "after that one has ended", 0, nil)
	b.goes(awake, flagACK, owner(again, awake), "a flow that is forgotten")
}
