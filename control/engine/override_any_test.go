package engine

import (
	"maps"
	"net/netip"
	"os"
	"testing"

	"pgregory.net/rapid"

	"lbctl/control/intent"
	"lbctl/control/store"
	"lbctl/lb"
)

// hands is a daemon over a store on disk, and what its tables must be after what it was asked.
type hands struct {
	*rapid.T
	t      *testing.T
	dir    string
	dp     *links
	kept   store.Store
	engine *Engine
	// declared has the replicas of its pool, if it uses one.
	declared intent.Service
	override intent.Overrides
}

// TestAnyConfigurationsAndOverrides: whatever configurations are applied and whatever is set by hand, in any order, over
// restarts with a file and without: what was set by hand wins until it is taken back, nothing of a replica that was removed is
// left, and what is declared is what the last configuration says.
func TestAnyConfigurationsAndOverrides(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		h := &hands{T: r, t: t, dir: dir, dp: newLinks(), override: intent.Overrides{}}
		h.start(intent.Default())
		defer func() { h.kept.Close() }()
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			switch rapid.SampledFrom([]string{"apply", "override", "override", "take back", "restart", "pool"}).Draw(r, "step") {
			case "apply":
				h.apply(anyConfiguration(r))
			case "override":
				h.set(r)
			case "take back":
				h.takeBack()
			case "restart":
				h.restart(r)
			case "pool":
				h.pool(r)
			}
			h.check()
		}
	})
}

func (h *hands) start(i intent.Intent) {
	var err error
	if h.kept == nil {
		if h.kept, err = store.Open(h.dir); err != nil {
			h.Fatal(err)
		}
	}
	if h.engine, err = Start(h.t.Context(), Options{Dataplane: h.dp, Store: h.kept, Clock: &handClock{now: noon}}, i); err != nil {
		h.Fatal(err)
	}
}

// configured returns an intent of another configuration, and has the model know it. Where its service uses a pool, that has the
// replicas, which the service gets when it is linked.
func (h *hands) configured(i intent.Intent, s intent.Service) intent.Intent {
	h.declared = s
	i.Pools = nil
	if s.Pool != "" {
		i, _ = i.WithPool(poolOf(s))
		s = s.WithReplicas(nil)
	}
	i.Services = intent.List(s)
	h.forget()
	linked, err := i.Linked()
	if err != nil {
		h.Fatal(err)
	}
	return linked
}

// poolOf is a pool with the replicas of a service, of which those have no port that have the service's.
func poolOf(s intent.Service) intent.Pool {
	p := intent.Pool{Name: s.Pool}
	for _, r := range s.AllReplicas() {
		if r.Address.Port() == s.VIP.Address.Port() {
			r.Address = netip.AddrPortFrom(r.Address.Addr(), 0)
		}
		p.Replicas = append(p.Replicas, r)
	}
	return p
}

// pool changes the pool alone, if there is one.
func (h *hands) pool(r *rapid.T) {
	if h.declared.Pool == "" {
		return
	}
	h.declared = h.declared.WithReplicas(anyConfiguration(r).AllReplicas())
	h.forget()
	if err := h.change(func(i intent.Intent) (intent.Intent, error) {
		i, _ = i.WithPool(poolOf(h.declared))
		return i, nil
	}); err != nil {
		h.Fatal(err)
	}
}

// forget has the model forget what was set by hand on replicas that are not declared any more.
func (h *hands) forget() {
	s := h.declared
	maps.DeleteFunc(h.override, func(t intent.Target, _ intent.Override) bool {
		_, there := s.State(t.Replica)
		return !there
	})
}

func (h *hands) change(edit func(intent.Intent) (intent.Intent, error)) error {
	_, _, err := h.engine.Change(h.t.Context(), Change{Actor: "test", Edit: edit})
	return err
}

func (h *hands) apply(s intent.Service) {
	if err := h.change(func(i intent.Intent) (intent.Intent, error) { return h.configured(i, s), nil }); err != nil {
		h.Fatal(err)
	}
}

func (h *hands) set(r *rapid.T) {
	n := byte(rapid.IntRange(1, 3).Draw(r, "replica"))
	o := intent.Override{SetsState: rapid.Bool().Draw(r, "sets state"), Weight: uint16(rapid.IntRange(0, 5).Draw(r, "weight"))}
	if o.SetsState {
		o.State = rapid.SampledFrom(states).Draw(r, "state")
	}
	err := h.change(byHand(n, o))
	if _, there := h.declared.State(replica(n)); !there {
		if err == nil {
			r.Fatalf("replica %d is not there and was set by hand", n)
		}
		return
	}
	if err != nil {
		r.Fatal(err)
	}
	h.override[target(n)] = o
	if o.IsZero() {
		delete(h.override, target(n))
	}
}

func (h *hands) takeBack() {
	err := h.change(func(i intent.Intent) (intent.Intent, error) {
		i.Overrides = i.Overrides.Without("web")
		return i, nil
	})
	if err != nil {
		h.Fatal(err)
	}
	h.override = intent.Overrides{}
}

// restart opens the store again, and starts with the stored intent, or another configuration over it.
func (h *hands) restart(r *rapid.T) {
	h.kept.Close()
	h.kept = nil
	kept, err := store.Open(h.dir)
	if err != nil {
		r.Fatal(err)
	}
	h.kept = kept
	latest, err := kept.Latest(h.t.Context())
	if err != nil {
		r.Fatal(err)
	}
	if rapid.Bool().Draw(r, "with a file") {
		latest.Intent = h.configured(latest.Intent, anyConfiguration(r))
	}
	h.start(latest.Intent)
}

// check compares the tables with the model.
func (h *hands) check() {
	now := h.engine.Now()
	if len(now.Intent.Services) == 0 {
		return
	}
	if len(now.Intent.Overrides) != len(h.override) || !now.Intent.Services[0].Equal(h.declared) {
		h.Fatalf("set by hand: %+v, want %+v; declared %+v, want %+v", now.Intent.Overrides, h.override, now.Intent.Services, h.declared)
	}
	has, err := h.dp.Services()
	if err != nil || len(has) != 1 || len(has[0].Replicas) != len(h.declared.Replicas) {
		h.Fatalf("forwarded %+v, %v, want the replicas of %+v", has, err, h.declared)
	}
	for n, want := range h.declared.Replicas {
		o := h.override[intent.Target{Service: "web", Replica: want.Address}]
		if o.SetsState {
			want.State = o.State
		}
		if o.Weight != 0 {
			want.Weight = o.Weight
		}
		if has[0].Replicas[n] != want {
			h.Fatalf("forwarded %+v, want %+v", has[0].Replicas[n], want)
		}
	}
}

var states = []lb.ReplicaState{lb.Active, lb.Draining, lb.Down}

// anyConfiguration is web with some of three replicas.
func anyConfiguration(r *rapid.T) intent.Service {
	s, all := web(), []intent.Replica{}
	for n := byte(1); n <= 3; n++ {
		if rapid.Bool().Draw(r, "is there") {
			all = append(all, intent.Replica{Replica: lb.Replica{Address: replica(n), Weight: 1, State: rapid.SampledFrom(states).Draw(r, "declared")}})
		}
	}
	s.Scheduler, s.TableSize = lb.Maglev, 251
	s.Pool = rapid.SampledFrom([]string{"", "backends"}).Draw(r, "pool")
	return s.WithReplicas(all)
}
