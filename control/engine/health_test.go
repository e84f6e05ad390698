package engine

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"lbctl/control/intent"
	"lbctl/control/store/storetest"
	"lbctl/lb"
)

// checkedWeb is web with a check.
func checkedWeb(replicas ...intent.Replica) intent.Service {
	s := web(replicas...)
	s.Health = intent.Check{Type: intent.CheckTCP, Interval: time.Second, Timeout: time.Second, Rise: 2, Fall: 3}
	return s
}

func checking(replicas ...intent.Replica) intent.Intent {
	i := intent.Default()
	i.Services = intent.List(checkedWeb(replicas...))
	return i
}

func endpoint(n byte) Endpoint { return Endpoint{web().VIP, replica(n)} }

// find has checks find the same of replicas of web.
func (w *world) find(status HealthStatus, all ...byte) {
	w.t.Helper()
	found := map[Endpoint]Health{}
	for _, n := range all {
		found[endpoint(n)] = Health{Status: status, Since: w.hand.Now()}
		if status == Unhealthy {
			found[endpoint(n)] = Health{Status: status, Since: w.hand.Now(), Reason: "refused"}
		}
	}
	w.SetHealth(w.t.Context(), found)
}

func (w *world) wantStates(what string, want ...lb.ReplicaState) {
	w.t.Helper()
	for n, s := range want {
		if got := w.state(byte(n + 1)); got != s {
			w.t.Errorf("%s: replica %d is %v, want %v", what, n+1, got, s)
		}
	}
}

func (w *world) wantHealth(n byte, want HealthStatus, reason string) {
	w.t.Helper()
	if h, checked := w.Now().Health(endpoint(n)); !checked || h.Status != want || h.Reason != reason {
		w.t.Errorf("replica %d: %+v, checked %v; want %v, %q", n, h, checked, want, reason)
	}
}

// What checks find is no revision, and is told. What changes nothing writes nothing.
func TestHealth(t *testing.T) {
	w := startWorld(t, newLinks(), checking(in(lb.Active), in(lb.Active), in(lb.Down)))
	w.wantHealth(1, Unknown, notYet)
	sets := w.dp.sets
	w.find(Healthy, 1, 2)
	w.wantNews(HealthChanged{"web", endpoint(1), Unknown, Healthy, ""}, HealthChanged{"web", endpoint(2), Unknown, Healthy, ""})
	if w.find(Healthy, 1, 2); w.dp.sets != sets {
		t.Error("that replicas are healthy which count as such has changed the datapath")
	}
	w.find(Unhealthy, 2)
	w.wantNews(HealthChanged{"web", endpoint(2), Healthy, Unhealthy, "refused"}, ReplicaChanged{"web", endpoint(2), lb.Active, lb.Down, "refused"})
	w.wantStates("one is ill", lb.Active, lb.Down, lb.Down)
	w.find(Unhealthy, 1)
	w.wantNews(HealthChanged{"web", endpoint(1), Healthy, Unhealthy, "refused"}, ReplicaChanged{"web", endpoint(2), lb.Down, lb.Active, "no replica is healthy, all get traffic"})
	w.wantStates("all are ill", lb.Active, lb.Active, lb.Down)
	w.find(Healthy, 2)
	w.wantNews(HealthChanged{"web", endpoint(2), Unhealthy, Healthy, ""}, ReplicaChanged{"web", endpoint(1), lb.Active, lb.Down, "refused"})
	w.wantStates("the other is ill", lb.Down, lb.Active, lb.Down)
	now := w.Now()
	if now.Number != 1 || w.dp.sets != sets+3 || now.Intent.Services[0].Replicas[0].State != lb.Active || now.Wanted.Services[0].Replicas[0].State != lb.Active {
		t.Errorf("revision %d after %d sets: %+v", now.Number, w.dp.sets-sets, now.Intent.Services)
	}
	if w.find(Unhealthy, 9); w.Now() != now {
		t.Error("what is found of a replica that there is not has changed something")
	}
}

// An operator's change does not touch what is known, as long as there is the replica and a check.
func TestHealthOutlivesChanges(t *testing.T) {
	w := startWorld(t, newLinks(), checking(in(lb.Active), in(lb.Active)))
	w.find(Unhealthy, 2)
	other := checkedWeb(in(lb.Active), in(lb.Active))
	other.Health.Rise = 9
	if p := w.mustEdit(func(i intent.Intent) (intent.Intent, error) { return with(i, other) }); len(p.Steps) != 0 {
		t.Errorf("another check: %d steps", len(p.Steps))
	}
	w.wantHealth(2, Unhealthy, "refused")
	w.mustEdit(func(i intent.Intent) (intent.Intent, error) {
		return with(i, checkedWeb(in(lb.Active), in(lb.Active), in(lb.Active)))
	})
	w.wantHealth(2, Unhealthy, "refused")
	w.wantStates("another replica", lb.Active, lb.Down, lb.Active)
	w.mustEdit(func(i intent.Intent) (intent.Intent, error) { return with(i, web(in(lb.Active), in(lb.Active))) })
	if _, checked := w.Now().Health(endpoint(2)); checked {
		t.Error("without a check something is known")
	}
	w.wantStates("without a check", lb.Active, lb.Active)
	w.mustEdit(func(i intent.Intent) (intent.Intent, error) { return with(i, checkedWeb(in(lb.Active), in(lb.Active))) })
	w.wantHealth(2, Unknown, notYet)
	w.wantStates("with one again", lb.Active, lb.Active)
	w.find(Unhealthy, 2)
	w.mustEdit(func(i intent.Intent) (intent.Intent, error) { return with(i, checkedWeb(in(lb.Active))) })
	w.mustEdit(func(i intent.Intent) (intent.Intent, error) { return with(i, checkedWeb(in(lb.Active), in(lb.Active))) })
	w.wantHealth(2, Unknown, notYet)
}

// A restart changes nothing until something is known: what was without traffic stays so, also where the store says that the
// operator wants it active.
func TestHealthOverARestart(t *testing.T) {
	dp, i := newLinks(), checking(in(lb.Active), in(lb.Active), in(lb.Down))
	first := startWorld(t, dp, i)
	first.find(Unhealthy, 2, 3)
	sets := dp.sets
	w := runWorld(t, dp, first.kept, i)
	if dp.sets != sets {
		t.Errorf("%d services were set", dp.sets-sets)
	}
	w.wantStates("after the restart", lb.Active, lb.Down, lb.Down)
	w.wantHealth(2, Unknown, notYet+"; it was unhealthy when the daemon started")
	w.wantHealth(3, Unknown, notYet)
	w.mustEdit(func(i intent.Intent) (intent.Intent, error) {
		return with(i, checkedWeb(in(lb.Active), in(lb.Active), in(lb.Active)))
	})
	w.wantStates("after a change", lb.Active, lb.Down, lb.Active)
	w.find(Healthy, 2)
	w.wantStates("known to be healthy", lb.Active, lb.Active, lb.Active)
}

// What nobody asks is well from the beginning. After a restart it stays without traffic if it was, until something is said of it.
func TestPassiveOverARestart(t *testing.T) {
	dp, i := newLinks(), checking(in(lb.Active), in(lb.Active))
	i.Services[0].Health = intent.Check{Type: intent.CheckPassive}
	first := startWorld(t, dp, i)
	first.wantHealth(1, Healthy, "")
	first.find(Unhealthy, 2)
	sets := dp.sets
	w := runWorld(t, dp, first.kept, i)
	w.find(Healthy, 1)
	if h, _ := w.Now().Health(endpoint(2)); !h.Held() || dp.sets != sets {
		t.Errorf("after the restart %+v, and %d services were set", h, dp.sets-sets)
	}
	w.find(Unhealthy, 2)
	if h, _ := w.Now().Health(endpoint(2)); h.Held() || dp.sets != sets {
		t.Errorf("ejected again: %+v, and %d services were set", h, dp.sets-sets)
	}
	w.wantStates("ejected again", lb.Active, lb.Down)
}

// A datapath that refuses is out of sync, and is brought to what is known as soon as it does not.
func TestHealthIsRefused(t *testing.T) {
	w := startWorld(t, newLinks(), checking(in(lb.Active), in(lb.Active)))
	w.dp.refuseSet(lb.ErrFull)
	w.find(Unhealthy, 2)
	w.wantHealth(2, Unhealthy, "refused")
	w.wantStates("refused", lb.Active, lb.Active)
	if w.NotReady() == "" {
		t.Error("it is ready")
	}
	w.dp.refuseSet(nil)
	for _, is := w.next().(InSync); !is; _, is = w.next().(InSync) {
	}
	w.wantStates("not refused any more", lb.Active, lb.Down)
}

// Whatever is found while the intent changes, in the end the datapath is as the last of both says.
func TestHealthBesideChanges(t *testing.T) {
	w := startWorld(t, newLinks(), checking(in(lb.Active), in(lb.Active), in(lb.Active)))
	var all sync.WaitGroup
	all.Go(func() {
		for n := range 200 {
			w.find([]HealthStatus{Unhealthy, Healthy}[n%2], 2)
		}
	})
	all.Go(func() {
		for n := range 200 {
			w.mustEdit(func(i intent.Intent) (intent.Intent, error) {
				return with(i, checkedWeb(in(lb.Active), in(lb.Active), in([]lb.ReplicaState{lb.Down, lb.Active}[n%2])))
			})
		}
	})
	all.Go(func() {
		for range 200 {
			if _, _, err := w.Plan(Change{Edit: func(i intent.Intent) (intent.Intent, error) { return i, nil }}); err != nil {
				t.Error(err)
			}
			w.Now().Health(endpoint(2))
		}
	})
	all.Wait()
	w.wantStates("in the end", lb.Active, lb.Active, lb.Active)
	w.wantHealth(2, Healthy, "")
}

// BenchmarkHealthOfOneReplica is what it takes to bring one replica in or out, the datapath apart.
func BenchmarkHealthOfOneReplica(b *testing.B) {
	for _, size := range []struct{ services, replicas int }{{1000, 10}, {10000, 10}} {
		b.Run(fmt.Sprintf("%dx%d", size.services, size.replicas), func(b *testing.B) {
			i := intent.Default()
			i.Datapath.Limits = lb.Limits{Services: 1 << 16, Replicas: 1 << 20, Slots: 1 << 27, Flows: 1 << 20}
			for n := range size.services {
				s := many(n, size.replicas)
				s.Health = checkedWeb().Health
				i.Services = append(i.Services, intent.List(s)...)
			}
			e, err := Start(b.Context(), Options{Dataplane: &still{at: map[lb.VIP]int{}}, Store: &storetest.Memory{}}, i)
			if err != nil {
				b.Fatal(err)
			}
			s := i.Services[size.services/2]
			for n := 0; b.Loop(); n++ {
				found := map[Endpoint]Health{{s.VIP, s.Replicas[0].Address}: {Status: []HealthStatus{Unhealthy, Healthy}[n%2]}}
				e.SetHealth(context.Background(), found)
			}
		})
	}
}
