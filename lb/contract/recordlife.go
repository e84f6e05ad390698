package contract

import (
	"errors"
	"net/netip"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// unrecorded fails if there is a record of one of the flows.
func (b fixture) unrecorded(flows []packet.Flow, why string) {
	b.t.Helper()
	for _, f := range flows {
		if e := b.explain(lb.Probe{Flow: f}); e.Record != lb.NoRecord || e.Recorded.IsValid() {
			b.t.Errorf("%v is recorded with %v, though %s", f, e.Recorded, why)
		}
	}
}

// lists compares the records that are listed with those that packets of the flows find.
func (b fixture) lists(v lb.VIP, recorded []packet.Flow) {
	b.t.Helper()
	want, clients := map[netip.AddrPort]lb.RecordedFlow{}, map[netip.Addr]bool{}
	for _, f := range recorded {
		e := b.explain(lb.Probe{Flow: f})
		want[f.Source] = lb.RecordedFlow{Client: f.Source, Replica: e.Recorded, Stage: e.Record}
		clients[f.Source.Addr()] = true
	}
	listed, last := 0, uint16(0)
	for client := range clients {
		all, err := b.Dataplane.FlowsOf(v, client)
		if err != nil {
			b.t.Fatal(err)
		}
		for n, f := range all {
			f.Age = 0 // of which an explanation says nothing
			equal(b.t, "listed record", f, want[f.Client])
			if listed++; n > 0 && f.Client.Port() <= last {
				b.t.Errorf("%v comes after port %d", f.Client, last)
			}
			last = f.Client.Port()
		}
	}
	equal(b.t, "number of listed records", listed, len(want))
	if _, err := b.Dataplane.FlowsOf(lb.VIP{Address: v.Address}, netip.MustParseAddr("198.51.100.1")); !errors.Is(err, lb.ErrNotFound) {
		b.t.Errorf("flows of no service: %v, want %v", err, lb.ErrNotFound)
	}
}

// testReplicaGone removes a replica and adds it again: it then is another one, without flows.
func testReplicaGone(b fixture, was lb.Service) {
	s, recorded, _, want := changed(b, was)
	gone := s.Replicas[3].Address
	var of []packet.Flow
	for _, f := range recorded {
		if owner(s, f) == gone {
			of = append(of, f)
		}
	}
	if len(of) == 0 {
		b.t.Fatal("the replica has no flow")
	}
	b.set(without(s, 3))
	delete(want, gone)
	for a, n := range b.flows(s.VIP).Replicas {
		equal(b.t, "records of those that stay", n.Established+n.HalfOpen, want[a].Established+want[a].HalfOpen)
	}
	b.unrecorded(of, "its replica is gone")
	b.set(s)
	equal(b.t, "flows of a replica that is added again", b.flows(s.VIP).Replicas[gone], lb.ReplicaFlows{})
	b.unrecorded(of, "its replica was added anew")
	b.advance(step)
	equal(b.t, "flows of a replica that is added again, later", b.flows(s.VIP).Replicas[gone], lb.ReplicaFlows{})
}

// testReplicaDown sets a replica down and active again: its flows return, except those that start again
// meanwhile.
func testReplicaDown(b fixture, was lb.Service) {
	s, recorded, _, want := changed(b, was)
	ill := s.Replicas[3].Address
	b.lists(s.VIP, recorded)
	off := with(s, lb.Down, 3)
	b.set(off)
	equal(b.t, "records of a replica that is down", b.flows(s.VIP).Replicas[ill].Established, want[ill].Established)
	anew := map[packet.Flow]netip.AddrPort{}
	for i, f := range recorded {
		if owner(s, f) != ill {
			continue
		}
		e := b.explain(lb.Probe{Flow: f})
		equal(b.t, "record of a flow whose replica is down", e.Recorded, ill)
		if got := b.arrives(f, flagACK); got == ill || !got.IsValid() {
			b.t.Errorf("%v goes to %v, want one that serves", f, got)
		}
		if i%2 == 0 {
			anew[f] = owner(off, f)
			b.goes(f, flagSYN, anew[f], "a flow that begins anew")
			b.goes(f, flagACK, anew[f], "a flow that began anew")
		}
	}
	b.set(s)
	for _, f := range recorded {
		home := owner(s, f)
		if other, is := anew[f]; is {
			home = other
		}
		b.goes(f, flagACK, home, "a flow whose replica has come back")
	}
}

// testServiceAnew removes the service and sets it again: nothing from before is known.
func testServiceAnew(b fixture, was lb.Service) {
	s, recorded, _, _ := changed(b, was)
	b.remove(s.VIP)
	b.set(s)
	b.remembers(s, "of a service that was set anew", 0, nil)
	b.unrecorded(recorded, "the service was removed")
	b.set(was) // slots in transition again
	b.unrecorded(recorded, "the service was removed")
	for _, f := range recorded {
		b.goes(f, flagACK, owner(s, f), "a flow of the service that was set anew")
	}
}

// testAllGone replaces all replicas: none has flows from before.
func testAllGone(b fixture, was lb.Service) {
	s, recorded, _, _ := changed(b, was)
	f := familyOf(s.VIP.Address.Addr())
	for i := range s.Replicas {
		s.Replicas[i] = lb.Replica{Address: f.on(Narrow, byte(1+i), 8080), Weight: 1}
	}
	s = sized(s, s.TableSize)
	b.set(s)
	for a, n := range b.flows(s.VIP).Replicas {
		equal(b.t, "flows of "+a.String()+", which is new", n, lb.ReplicaFlows{})
	}
	for _, f := range recorded {
		b.goes(f, flagACK, owner(s, f), "a flow whose replica is gone")
	}
	b.advance(step) // slots in transition without a previous owner are settled
	b.remembers(s, "of other replicas", 0, nil)
}

// testNoneBefore gives replicas to a service that had none.
func testNoneBefore(b fixture, s lb.Service) {
	none := s.Clone()
	none.Replicas = nil
	b.set(sized(none, s.TableSize))
	b.remembers(none, "without replicas", 0, nil)
	for _, f := range clients(s, 1000, 4) {
		b.goes(f, flagSYN, netip.AddrPort{}, "no replicas")
	}
	b.set(s)
	b.remembers(s, "with its first replicas", 0, nil)
	for _, f := range clients(s, 1000, 20) {
		b.goes(f, flagACK, owner(s, f), "its first replicas")
	}
}

// testDrainingAlone has no active replica: present flows go on, and none starts.
func testDrainingAlone(b fixture, was lb.Service) {
	s, recorded, _, want := changed(b, was)
	none := with(with(s, lb.Down, 0), lb.Draining, 1, 2, 3)
	b.set(none)
	for _, f := range clients(none, 7000, 8) {
		b.becomes(packetOf(f, flagSYN).Frame(), lb.NoReplica, "no replica is active")
		if to := owner(was, f); to != was.Replicas[0].Address {
			b.goes(f, flagACK, to, "a flow from before, its replica draining")
		} else {
			b.becomes(packetOf(f, flagACK).Frame(), lb.NoReplica, "its replica is down, and no other active")
		}
	}
	for _, f := range recorded {
		if home := owner(s, f); home != was.Replicas[0].Address {
			b.goes(f, flagACK, home, "a recorded flow, its replica draining")
		} else {
			b.goes(f, flagACK, b.previousOf(none, was, f), "a recorded flow, its replica down")
		}
	}
	f := b.flows(none.VIP)
	equal(b.t, "slots without an active replica", f.InTransition, 0)
	for a, n := range f.Replicas {
		equal(b.t, "records without an active replica", n.Established+n.HalfOpen, want[a].Established+want[a].HalfOpen)
	}
	b.set(was)
	for _, f := range recorded {
		b.goes(f, flagACK, owner(s, f), "a recorded flow, all replicas active again")
	}
}

// previousOf is the previous owner of a flow, if it serves.
func (b fixture) previousOf(s, was lb.Service, f packet.Flow) netip.AddrPort {
	previous := owner(was, f)
	for _, r := range s.Replicas {
		if r.Address == previous && r.State != lb.Down {
			return previous
		}
	}
	return netip.AddrPort{}
}
