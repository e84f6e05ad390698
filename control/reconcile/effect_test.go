package reconcile_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lbctl/control/reconcile"
	"lbctl/lb"
	"lbctl/lb/scheduler"
)

// altered is a service after some changes, with the table that follows from them.
func altered(s lb.Service, change func(*lb.Service)) lb.Service {
	s = s.Clone()
	change(&s)
	if s.Scheduler == lb.Modulo {
		s.TableSize = 0
	}
	return s.WithDefaults()
}

func setState(n int, state lb.ReplicaState) func(*lb.Service) {
	return func(s *lb.Service) { s.Replicas[n].State = state }
}

func TestMoved(t *testing.T) {
	three := service(1, 1, 2, 3)
	for _, c := range []struct {
		name         string
		old, next    lb.Service
		moved, parts uint64
	}{
		{"nothing", three, three, 0, 3},
		{"one of three drains: h mod 3 and h mod 2 agree in 2 of 6", three, altered(three, setState(2, lb.Draining)), 4, 6},
		{"the first drains", three, altered(three, setState(0, lb.Draining)), 4, 6},
		{"a fourth comes", three, service(1, 1, 2, 3, 4), 9, 12},
		{"another seed", three, altered(three, func(s *lb.Service) { s.Seed = 7 }), 6, 9},
		{"seed of toeplitz", altered(three, func(s *lb.Service) { s.Hash = lb.ToeplitzHash }), altered(three, func(s *lb.Service) { s.Hash, s.Seed = lb.ToeplitzHash, 1 }), 0, 3},
		{"order", service(1, 1, 2), service(1, 2, 1), 2, 2},
		{"from nobody", service(1), three, 3, 3},
		{"to nobody", three, lb.Service{VIP: three.VIP}, 3, 3},
		{"nobody to nobody", service(1), service(1), 0, 1},
		{"tracking alone", three, altered(three, func(s *lb.Service) { s.Tracking, s.Idle = lb.TrackAlways, time.Minute }), 0, 3},
	} {
		if moved, parts := reconcile.Moved(c.old, c.next); moved != c.moved || parts != c.parts {
			t.Errorf("%s: %d of %d, want %d of %d", c.name, moved, parts, c.moved, c.parts)
		}
	}
}

// TestMovedCountsEveryHash compares with going through all hash values up to the least common
// multiple of the tables' sizes.
func TestMovedCountsEveryHash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) lb.Service {
			s := service(1, rapid.Permutation([]byte{1, 2, 3, 4, 5, 6}).Draw(t, name)[:rapid.IntRange(1, 6).Draw(t, name+" number")]...)
			s.Scheduler = rapid.SampledFrom([]lb.Scheduler{lb.Modulo, lb.Maglev}).Draw(t, name+" scheduler")
			s.TableSize = rapid.SampledFrom([]uint32{7, 11, 13}).Draw(t, name+" size")
			return altered(s, setState(0, rapid.SampledFrom([]lb.ReplicaState{lb.Active, lb.Down}).Draw(t, name+" state")))
		}
		old, next := draw("old"), draw("next")
		moved, parts := reconcile.Moved(old, next)
		var want uint64
		for h := range parts {
			if ownerOf(old, h) != ownerOf(next, h) {
				want++
			}
		}
		if moved != want {
			t.Fatalf("%d of %d, want %d", moved, parts, want)
		}
	})
}

func ownerOf(s lb.Service, h uint64) netip.AddrPort {
	if s.Active() == 0 {
		return netip.AddrPort{}
	}
	return s.Replicas[scheduler.Build(s)[h%uint64(s.TableSize)]].Address
}

func TestEffects(t *testing.T) {
	old := altered(service(1, 1, 2, 3), func(s *lb.Service) {
		s.Tracking, s.Replicas[2].State = lb.TrackChanges, lb.Draining
	})
	next := altered(old, func(s *lb.Service) {
		s.Tracking, s.Idle = lb.TrackAlways, time.Minute
		s.Replicas = []lb.Replica{{Address: s.Replicas[1].Address, Weight: 1}, {Address: netip.MustParseAddrPort("10.0.0.9:80"), Weight: 1}}
	})
	flows := map[lb.VIP]lb.Flows{old.VIP: {Replicas: map[netip.AddrPort]lb.ReplicaFlows{
		old.Replicas[0].Address: {Established: 5},
		old.Replicas[1].Address: {Established: 100},
		old.Replicas[2].Address: {Established: 7, HalfOpen: 1},
	}}}
	steps := []reconcile.Step{
		{Verb: reconcile.Set, Service: service(2, 4)},
		{Verb: reconcile.Set, Service: next},
		{Verb: reconcile.Attach},
		{Verb: reconcile.Remove, Service: lb.Service{VIP: old.VIP}},
	}
	got := reconcile.Effects(forward(old), steps, flows)
	want := []*reconcile.Effect{nil, {
		Differences: []reconcile.Difference{
			{"tracking", "changes", "always"}, {"idle", "10m0s", "1m0s"},
			{"replicas[10.0.0.9:80]", "", "active"},
			{"replicas[10.0.0.1:80]", "active", ""}, {"replicas[10.0.0.3:80]", "draining", ""},
		},
		Moved: 2, Parts: 2, Ended: 13, AtLeast: true,
	}, nil, {Moved: 2, Parts: 2, Ended: 100, AtLeast: false}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
}

// TestEndedFlows: a plan counts what a removal ends, and says whether that is all.
func TestEndedFlows(t *testing.T) {
	for _, c := range []struct {
		name     string
		tracking lb.Tracking
		state    lb.ReplicaState
		older    uint32
		next     func(*lb.Service)
		ended    uint64
		atLeast  bool
	}{
		{"active removed", lb.TrackChanges, lb.Active, 0, func(s *lb.Service) { s.Replicas = s.Replicas[1:] }, 7, true},
		{"active removed, all recorded", lb.TrackAlways, lb.Active, 0, func(s *lb.Service) { s.Replicas = s.Replicas[1:] }, 7, false},
		{"draining removed", lb.TrackChanges, lb.Draining, 0, func(s *lb.Service) { s.Replicas = s.Replicas[1:] }, 7, false},
		{"draining removed, older ones left", lb.TrackChanges, lb.Draining, 2, func(s *lb.Service) { s.Replicas = s.Replicas[1:] }, 7, true},
		{"draining set down", lb.TrackChanges, lb.Draining, 0, setState(0, lb.Down), 7, false},
		{"drained", lb.TrackChanges, lb.Active, 0, setState(0, lb.Draining), 0, false},
		{"down removed", lb.TrackChanges, lb.Down, 0, func(s *lb.Service) { s.Replicas = s.Replicas[1:] }, 0, false},
	} {
		old := altered(service(1, 1, 2), func(s *lb.Service) { s.Tracking, s.Replicas[0].State = c.tracking, c.state })
		flows := lb.Flows{Replicas: map[netip.AddrPort]lb.ReplicaFlows{old.Replicas[0].Address: {Established: 7, OldFlowSlots: c.older}}}
		step := reconcile.Step{Verb: reconcile.Set, Service: altered(old, c.next)}
		e := reconcile.Effects(forward(old), []reconcile.Step{step}, map[lb.VIP]lb.Flows{old.VIP: flows})[0]
		if e.Ended != c.ended || e.AtLeast != c.atLeast {
			t.Errorf("%s: %d ended, at least %v; want %d, %v", c.name, e.Ended, e.AtLeast, c.ended, c.atLeast)
		}
	}
}

func TestDifferences(t *testing.T) {
	old := service(1, 1, 2, 3)
	next := altered(old, func(s *lb.Service) {
		s.Scheduler, s.TableSize, s.Mode, s.Hash, s.Seed = lb.Maglev, 11, lb.DSR, lb.ToeplitzHash, 5
		s.Replicas[0], s.Replicas[1] = s.Replicas[1], s.Replicas[0]
		s.Replicas[2].Weight, s.Replicas[2].State = 3, lb.Draining
	})
	want := []reconcile.Difference{
		{"scheduler", "modulo", "maglev"}, {"mode", "nat", "dsr"}, {"hash", "jhash", "toeplitz"}, {"seed", "0", "5"},
		{"table_size", "3", "11"}, {"replicas[10.0.0.3:80].weight", "1", "3"},
		{"replicas[10.0.0.3:80].state", "active", "draining"}, {"replicas", "in order", "in another order"},
	}
	if diff := cmp.Diff(want, reconcile.Differences(old, next)); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
	if got := reconcile.Differences(old, old); len(got) != 0 {
		t.Errorf("of a service and itself: %v", got)
	}
}
