package engine

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"lbctl/control/intent"
	"lbctl/control/store/storetest"
	"lbctl/lb"
	"lbctl/lb/scheduler"
)

const slow = 9 * time.Second

// starting is an intent with web, whose replicas have these weights and start slowly.
func starting(weights ...uint16) intent.Intent {
	var all []intent.Replica
	for range weights {
		all = append(all, in(lb.Active))
	}
	i := checking(all...)
	s := i.Services[0]
	for n, w := range weights {
		s.Replicas[n].Weight = w
	}
	s.Scheduler, s.TableSize, s.Health.SlowStart = lb.Maglev, 251, slow
	return i
}

// weights are those of the replicas in the datapath, 0 of one that is down.
func (w *world) weights() (all []uint16) {
	w.t.Helper()
	services, err := w.dp.Services()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range services[0].Replicas {
		if r.State != lb.Active {
			r.Weight = 0
		}
		all = append(all, r.Weight)
	}
	return all
}

func (w *world) wantWeights(what string, want ...uint16) {
	w.t.Helper()
	if got := w.weights(); !slices.Equal(got, want) {
		w.t.Errorf("%s: weights %v, want %v", what, got, want)
	}
}

// pass lets a time pass, and has what is due then done.
func (w *world) pass(d time.Duration) {
	w.hand.tick(d)
	w.takeSteps(context.Background())
}

// stopped is a world in which nothing runs but what the test calls.
func stopped(t *testing.T, i intent.Intent) *world {
	return stoppedAt(t, newLinks(), &storetest.Memory{}, i, noon)
}

func stoppedAt(t *testing.T, dp *links, kept *storetest.Memory, i intent.Intent, at time.Time) *world {
	t.Helper()
	w := &world{t: t, dp: dp, kept: kept, hand: &handClock{now: at}}
	var err error
	if w.Engine, err = Start(t.Context(), Options{Dataplane: dp, Store: kept, Clock: w.hand}, i); err != nil {
		t.Fatal(err)
	}
	return w
}

// A replica that becomes healthy again takes its share in steps; nobody else does. The intent stays as it is.
func TestSlowStart(t *testing.T) {
	w := stopped(t, starting(1, 3, 2))
	w.find(Healthy, 1, 2, 3)
	w.wantWeights("after the start", 1, 3, 2)
	w.find(Unhealthy, 2)
	sets := w.dp.sets
	w.find(Healthy, 2)
	w.wantWeights("healthy again", 10, 3, 20)
	w.pass(999 * time.Millisecond)
	w.wantWeights("before the second step", 10, 3, 20)
	for step := uint16(2); step < startSteps; step++ {
		w.pass(time.Second)
		w.wantWeights(fmt.Sprint("step ", step), 10, 3*step, 20)
		service := w.Now().Given.Services[0]
		if got := w.Now().Share(*service, replica(2), w.hand.Now()); got != int64(step)*10 {
			t.Errorf("step %d: a share of %d %%", step, got)
		}
	}
	w.pass(time.Second)
	w.wantWeights("in the end", 1, 3, 2)
	w.pass(time.Hour)
	if got := w.dp.sets - sets; got != startSteps {
		t.Errorf("%d tables, want %d", got, startSteps)
	}
	if now := w.Now(); now.Number != 1 || !now.nextStep.IsZero() || !slices.Equal(now.Wanted.Services[0].Replicas, starting(1, 3, 2).Services[0].Replicas) {
		t.Errorf("revision %d, next step %v: %+v", now.Number, now.nextStep, now.Wanted.Services[0])
	}
}

// Replicas that come back at any times within a slow start take their steps together.
func TestSlowStartsTogether(t *testing.T) {
	w := stopped(t, starting(1, 1, 1, 1, 1, 1))
	w.find(Unhealthy, 2, 3, 4, 5, 6)
	sets := w.dp.sets
	for n := range byte(5) {
		w.find(Healthy, n+2)
		w.pass(110 * time.Millisecond)
	}
	w.wantWeights("in the first step", 10, 1, 1, 1, 1, 1)
	for range 100 {
		w.pass(110 * time.Millisecond)
	}
	w.wantWeights("in the end", 1, 1, 1, 1, 1, 1)
	if got, most := w.dp.sets-sets, 5+startSteps-1; got > most {
		t.Errorf("%d tables, want at most %d", got, most)
	}
}

// What happens meanwhile: another fall, a drain, a weight by hand, the end of the others.
func TestSlowStartAmongOthers(t *testing.T) {
	w := stopped(t, starting(2, 2, 2))
	w.find(Unhealthy, 2)
	w.find(Healthy, 2)
	w.pass(4 * time.Second)
	w.wantWeights("half way", 20, 10, 20)
	w.mustEdit(func(i intent.Intent) (intent.Intent, error) {
		next := starting(2, 4, 2)
		next.Services[0].Replicas[2].State = lb.Draining
		return with(i, *next.Services[0])
	})
	w.wantWeights("another weight, and a drain", 20, 20, 0)
	w.find(Unhealthy, 1)
	w.wantWeights("alone", 0, 4, 0)
	w.find(Healthy, 1)
	w.wantWeights("the other one starts", 2, 20, 0)
	w.find(Unhealthy, 2)
	w.find(Healthy, 2)
	w.wantWeights("it falls and starts again: they are as far as each other", 2, 4, 0)
	w.find(Unhealthy, 1, 2)
	w.wantWeights("none is healthy", 2, 4, 0)
}

// Great weights are scaled too, as exactly as they can be.
func TestSlowStartOfGreatWeights(t *testing.T) {
	w := stopped(t, starting(65535, 6000, 1))
	w.find(Unhealthy, 1, 3)
	w.find(Healthy, 1, 3)
	w.wantWeights("the first step", 6553, 6000, 1)
}

// A restart goes on where the start was, and writes nothing.
func TestSlowStartOverARestart(t *testing.T) {
	i := starting(1, 3, 2)
	first := stopped(t, i)
	first.find(Healthy, 1, 2, 3)
	first.find(Unhealthy, 2)
	first.find(Healthy, 2)
	first.pass(4 * time.Second)
	sets := first.dp.sets
	w := stoppedAt(t, first.dp, first.kept, i, noon.Add(time.Hour))
	w.wantWeights("after the restart", 10, 15, 20)
	if w.dp.sets != sets {
		t.Errorf("%d tables of a restart", w.dp.sets-sets)
	}
	w.find(Healthy, 1, 2, 3)
	w.pass(time.Second)
	w.wantWeights("a step later", 10, 18, 20)
	w.pass(slow)
	w.wantWeights("in the end", 1, 3, 2)
}

// owned counts the slots of the first replica.
func owned(table []uint32) (n int) {
	for _, owner := range table {
		if owner == 0 {
			n++
		}
	}
	return n
}

// TestSlowStartMoves measures how many slots the steps move, beside the least that could be: what the replica gets more. Ten
// steps of one in so many replicas, of 65537 slots.
func TestSlowStartMoves(t *testing.T) {
	for n, most := range map[int]float64{2: 1.01, 5: 1.05, 10: 1.2, 100: 5} {
		weights := make([]uint16, n)
		for k := range weights {
			weights[k] = 1
		}
		s := starting(weights...).Services[0]
		s.TableSize = 65537
		first := s.Replicas[0].Address
		table := func(h Health, at time.Duration) []uint32 {
			return scheduler.Build(effectiveService(s, map[netip.AddrPort]Health{first: h}, noon.Add(at)).Service)
		}
		had, moved, least := table(Health{Status: Unhealthy}, 0), 0, 0
		for step := range time.Duration(startSteps) {
			has := table(Health{Status: Healthy, rose: noon}, step*time.Second)
			for slot := range has {
				if has[slot] != had[slot] {
					moved++
				}
			}
			least += owned(has) - owned(had)
			had = has
		}
		t.Logf("%d replicas: %d slots moved, %.2f of the least", n, moved, float64(moved)/float64(least))
		if float64(moved) > most*float64(least) {
			t.Errorf("%d replicas: %d slots moved, the least is %d", n, moved, least)
		}
	}
}
