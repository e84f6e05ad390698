package oracle_test

import (
	"net/netip"
	"testing"
	"time"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/lb/scheduler"
	"lbctl/rss/packet"
)

// story is a TCP service of two replicas, of which flows of many ports are told.
type story struct {
	t *testing.T
	*oracle.Datapath
	service lb.Service
}

const step = lb.MinIdle / lb.IdleSteps

func newStory(t *testing.T, tracking lb.Tracking) *story {
	s := &story{t: t, Datapath: oracle.New(oracle.Config{Routes: everywhere{}}), service: lb.Service{
		VIP: lb.VIP{Address: flow.Destination, Protocol: packet.TCP}, Scheduler: lb.Maglev, TableSize: 7,
		Tracking: tracking, Idle: lb.MinIdle,
		Replicas: []lb.Replica{{Address: replicaAddress(0), Weight: 1}, {Address: replicaAddress(1), Weight: 1}},
	}}
	s.set()
	return s
}

func (s *story) set() {
	s.t.Helper()
	if err := s.SetService(s.t.Context(), s.service); err != nil {
		s.t.Fatal(err)
	}
}

// state changes a replica.
func (s *story) state(i int, state lb.ReplicaState) {
	s.t.Helper()
	s.service.Replicas = append([]lb.Replica(nil), s.service.Replicas...)
	s.service.Replicas[i].State = state
	s.set()
}

// slots is how many a replica has.
func (s *story) slots(i int) (n uint32) {
	for _, owner := range scheduler.Build(s.service) {
		if owner == uint32(i) {
			n++
		}
	}
	return n
}

// of returns a flow of that replica as the table is now.
func (s *story) of(i int) packet.Flow {
	for f, port := flow, uint16(1); ; port++ {
		f.Source = netip.AddrPortFrom(f.Source.Addr(), port)
		if s.explain(f, true).Owner == replicaAddress(i) {
			return f
		}
	}
}

// beside returns another flow of the same slot.
func (s *story) beside(f packet.Flow) packet.Flow {
	slot, g := s.explain(f, true).Slot, f
	for {
		g.Source = netip.AddrPortFrom(g.Source.Addr(), g.Source.Port()+1)
		if s.explain(g, true).Slot == slot {
			return g
		}
	}
}

func (s *story) explain(f packet.Flow, syn bool) lb.Explanation {
	s.t.Helper()
	e, err := s.Explain(lb.Probe{Flow: f, SYN: syn})
	if err != nil {
		s.t.Fatal(err)
	}
	return e
}

// goes sends a packet, and says where it is to go and why.
func (s *story) goes(f packet.Flow, syn bool, i int, why lb.Choice) {
	s.t.Helper()
	e := s.explain(f, syn)
	if e.Replica != replicaAddress(i) || e.Choice != why {
		s.t.Fatalf("%v goes to %v by %q, want replica %d by %q", f, e.Replica, e.Choice, i, why)
	}
	s.Process(1, e.Before)
}

// remembered says what Flows is to return.
func (s *story) remembered(marked uint32, replicas ...lb.ReplicaFlows) {
	s.t.Helper()
	all, err := s.Flows()
	if err != nil {
		s.t.Fatal(err)
	}
	f := all[s.service.VIP]
	if f.InTransition != marked || len(f.Replicas) != len(replicas) {
		s.t.Fatalf("%+v, want %d marked and %+v", f, marked, replicas)
	}
	for i, want := range replicas {
		if got := f.Replicas[s.service.Replicas[i].Address]; got != want {
			s.t.Fatalf("replica %d: %+v, want %+v", i, got, want)
		}
	}
}

// TestDrain is the story of a replica that is taken out of service and comes back.
func TestDrain(t *testing.T) {
	s := newStory(t, lb.TrackChanges)
	old, theirs, slots := s.of(0), s.of(1), s.slots(0)
	s.goes(old, true, 0, lb.ByOwner)
	s.goes(theirs, true, 1, lb.ByOwner)
	s.remembered(0, lb.ReplicaFlows{}, lb.ReplicaFlows{})

	s.state(0, lb.Draining)
	s.remembered(slots, lb.ReplicaFlows{OldFlowSlots: slots}, lb.ReplicaFlows{})
	s.goes(old, false, 0, lb.ByPreviousOwner)
	s.goes(theirs, false, 1, lb.ByOwner)
	young := s.beside(old)
	s.goes(young, true, 1, lb.ByAssignment)
	s.remembered(slots, lb.ReplicaFlows{OldFlowSlots: slots}, lb.ReplicaFlows{HalfOpen: 1})
	s.goes(young, true, 1, lb.ByRecord) // sent again
	s.goes(young, false, 1, lb.ByRecord)
	s.remembered(slots, lb.ReplicaFlows{OldFlowSlots: slots}, lb.ReplicaFlows{Established: 1})

	s.state(0, lb.Active)
	s.goes(young, false, 1, lb.ByRecord)
	s.goes(old, false, 0, lb.ByPreviousOwner)
	s.Advance(8 * step) // only the slot of the young flow is needed any more
	s.remembered(1, lb.ReplicaFlows{OldFlowSlots: 1}, lb.ReplicaFlows{Established: 1})
	s.goes(young, false, 1, lb.ByRecord)
	s.Advance(8 * step)
	s.remembered(1, lb.ReplicaFlows{}, lb.ReplicaFlows{Established: 1})
	s.Advance(step)
	s.remembered(0, lb.ReplicaFlows{}, lb.ReplicaFlows{})
	s.goes(young, false, 0, lb.ByOwner)
}

// TestNineSteps: what is not used is over in the ninth step, however the time passes.
func TestNineSteps(t *testing.T) {
	for _, d := range []time.Duration{step, step / 4, 3 * step} {
		s := newStory(t, lb.TrackAlways)
		f := s.of(0)
		s.goes(f, true, 0, lb.ByAssignment)
		slots := s.slots(0)
		s.state(0, lb.Draining)
		for passed := d; passed < 9*step; passed += d {
			s.Advance(d)
			s.remembered(slots, lb.ReplicaFlows{HalfOpen: 1, OldFlowSlots: slots}, lb.ReplicaFlows{})
		}
		s.Advance(d)
		s.remembered(0, lb.ReplicaFlows{}, lb.ReplicaFlows{})
	}
}

// TestNewcomer: a replica that was taken out and is put in again has none of its flows.
func TestNewcomer(t *testing.T) {
	s := newStory(t, lb.TrackAlways)
	f, both := s.of(0), s.service.Replicas
	s.goes(f, true, 0, lb.ByAssignment)
	s.service.Replicas = both[1:]
	s.set()
	s.goes(f, false, 1, lb.ByAssignment)
	s.service.Replicas = both
	s.set()
	s.remembered(s.slots(0), lb.ReplicaFlows{}, lb.ReplicaFlows{OldFlowSlots: s.slots(0)})
	if e := s.explain(f, false); e.Record != lb.NoRecord || e.PreviousOwner != replicaAddress(1) {
		t.Errorf("%+v", e)
	}
}

// TestMoved: another number of slots, and no replica that is active.
func TestMoved(t *testing.T) {
	s := newStory(t, lb.TrackChanges)
	f := s.of(0)
	s.goes(f, true, 0, lb.ByOwner)
	zero, one := s.slots(0), s.slots(1)
	s.service.TableSize = 11
	s.set()
	s.remembered(11, lb.ReplicaFlows{OldFlowSlots: zero}, lb.ReplicaFlows{OldFlowSlots: one})
	s.goes(f, false, 0, lb.ByPreviousOwner)
	s.state(0, lb.Draining)
	s.state(1, lb.Down)
	s.remembered(0, lb.ReplicaFlows{OldFlowSlots: zero}, lb.ReplicaFlows{OldFlowSlots: one})
	s.goes(f, false, 0, lb.ByPreviousOwner)
	if e := s.explain(f, true); e.Reason != lb.NoReplica || !e.InTransition || e.Owner.IsValid() {
		t.Errorf("%+v", e)
	}
	s.Advance(9 * step)
	s.remembered(0, lb.ReplicaFlows{}, lb.ReplicaFlows{})
	if e := s.explain(f, false); e.Reason != lb.NoReplica || e.InTransition {
		t.Errorf("%+v", e)
	}
}

// TestDownRecord: a flow goes elsewhere while its replica is down, and back when it serves again,
// unless it starts anew.
func TestDownRecord(t *testing.T) {
	s := newStory(t, lb.TrackAlways)
	f := s.of(0)
	s.goes(f, true, 0, lb.ByAssignment)
	s.goes(f, false, 0, lb.ByRecord)
	s.state(0, lb.Down)
	s.goes(f, false, 1, lb.ByAssignment)
	if e := s.explain(f, false); e.Record != lb.Established || e.Recorded != replicaAddress(0) {
		t.Errorf("%+v", e)
	}
	s.state(0, lb.Active)
	s.goes(f, false, 0, lb.ByRecord)
	s.state(0, lb.Down)
	s.goes(f, true, 1, lb.ByAssignment)
	s.state(0, lb.Active)
	s.goes(f, false, 1, lb.ByRecord)
}
