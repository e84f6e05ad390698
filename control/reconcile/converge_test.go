package reconcile_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"lbctl/control/intent"
	"lbctl/control/reconcile"
	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// tight are limits that random states sometimes fill.
var tight = lb.Limits{Services: 4, Replicas: 10, Slots: 200}

// state draws a valid state: few addresses, so that VIPs, replicas and their addresses collide
// from one state to the next.
func state(t *rapid.T, name string) reconcile.State {
	free := rapid.Permutation([]byte{1, 2, 3, 4, 5, 6, 7, 8}).Draw(t, name+" addresses")
	n := rapid.IntRange(0, 4).Draw(t, name+" services")
	var s reconcile.State
	for i := range n {
		s.Services = append(s.Services, &lb.Service{
			VIP:       lb.VIP{Address: address(free[i]), Protocol: packet.TCP},
			Scheduler: rapid.SampledFrom([]lb.Scheduler{lb.Modulo, lb.Maglev}).Draw(t, "scheduler"),
			Tracking:  rapid.SampledFrom([]lb.Tracking{lb.Stateless, lb.TrackChanges, lb.TrackAlways}).Draw(t, "tracking"),
		})
	}
	for _, r := range free[n:] {
		if i := rapid.IntRange(-1, n-1).Draw(t, "owner"); i >= 0 {
			s.Services[i].Replicas = append(s.Services[i].Replicas, lb.Replica{
				Address: address(r), Weight: 1,
				State: rapid.SampledFrom([]lb.ReplicaState{lb.Active, lb.Draining, lb.Down}).Draw(t, "replica state"),
			})
		}
	}
	for i := range s.Services {
		if s.Services[i].Scheduler == lb.Maglev {
			s.Services[i].TableSize = 11
		}
		*s.Services[i] = s.Services[i].WithDefaults()
	}
	for _, link := range []string{"a", "b", "c"} {
		if mode := rapid.SampledFrom([]lb.AttachMode{"", lb.Auto, lb.Native, lb.Generic}).Draw(t, link); mode != "" {
			s.Interfaces = append(s.Interfaces, intent.Interface{Name: link, Mode: mode})
		}
	}
	if err := lb.ValidateChange(nil, s.Services, tight); err != nil {
		t.Fatalf("the test draws an invalid state: %v", err)
	}
	return s
}

// address is VIP and replica alike, so that they collide.
func address(n byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 80)
}

func memory(t *rapid.T, s reconcile.State) *oracle.Datapath {
	dp := oracle.New(oracle.Config{Limits: tight, Interfaces: map[string]int{"a": 1, "b": 2, "c": 3}})
	if err := reconcile.Execute(context.Background(), dp, reconcile.Plan(reconcile.State{}, s, tight)); err != nil {
		t.Fatalf("build the first state: %v", err)
	}
	return dp
}

func current(t *rapid.T, dp lb.Dataplane) reconcile.State {
	s, err := reconcile.Current(dp)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestConvergesFromWhereverItStopped executes a plan that stops after every step, one
// after the other, and plans again from there.
func TestConvergesFromWhereverItStopped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := state(t, "from"), state(t, "to")
		steps := len(reconcile.Plan(current(t, memory(t, from)), to, tight))
		for stop := range steps + 1 {
			dp := memory(t, from)
			first := reconcile.Plan(current(t, dp), to, tight)
			err := reconcile.Execute(t.Context(), &stopping{Dataplane: dp, left: stop}, first)
			var stopped *reconcile.StepError
			if stop < steps && (!errors.As(err, &stopped) || stopped.Done != stop || !errors.Is(err, errStop)) {
				t.Fatalf("stopped after %d of %d steps with %v", stop, steps, err)
			}
			rest := reconcile.Plan(current(t, dp), to, tight)
			if err := reconcile.Execute(t.Context(), dp, rest); err != nil {
				t.Fatalf("continue after %d of %v with %v: %v", stop, lines(first), lines(rest), err)
			}
			wantState(t, dp, to)
		}
	})
}

// wantState fails unless the datapath forwards as intended, and has nothing to do.
func wantState(t *rapid.T, dp lb.Dataplane, to reconcile.State) {
	now := current(t, dp)
	if left := reconcile.Plan(now, to, tight); len(left) > 0 {
		t.Fatalf("left to do: %v", lines(left))
	}
	byVIP := cmpopts.SortSlices(func(a, b *lb.Service) bool { return a.VIP.Compare(b.VIP) < 0 })
	comparable := cmpopts.EquateComparable(netip.AddrPort{}, netip.Prefix{})
	if diff := cmp.Diff(to.Services, now.Services, byVIP, comparable, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("services (-want +got):\n%s", diff)
	}
	if len(now.Interfaces) != len(to.Interfaces) {
		t.Fatalf("attached %v, want %v", now.Interfaces, to.Interfaces)
	}
}

var errStop = errors.New("stopped by the test")

// stopping is a datapath that refuses everything after some changes.
type stopping struct {
	lb.Dataplane
	left int
}

// do makes a change, if one is left.
func (s *stopping) do(change func() error) error {
	if s.left == 0 {
		return errStop
	}
	s.left--
	return change()
}

func (s *stopping) SetService(ctx context.Context, v lb.Service) error {
	return s.do(func() error { return s.Dataplane.SetService(ctx, v) })
}

func (s *stopping) RemoveService(ctx context.Context, v lb.VIP) error {
	return s.do(func() error { return s.Dataplane.RemoveService(ctx, v) })
}

func (s *stopping) Attach(ctx context.Context, name string, m lb.AttachMode) (i lb.Interface, err error) {
	err = s.do(func() error { i, err = s.Dataplane.Attach(ctx, name, m); return err })
	return i, err
}

func (s *stopping) Detach(ctx context.Context, name string) error {
	return s.do(func() error { return s.Dataplane.Detach(ctx, name) })
}
