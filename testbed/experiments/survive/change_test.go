package survive

import (
	"math/rand/v2"
	"slices"
	"testing"

	"lbctl/lb"
)

const pool = 8

func planned(t *testing.T, seed uint64) *planner {
	t.Helper()
	t.Logf("seed %d", seed)
	return &planner{random: rand.New(rand.NewPCG(seed, 0)), pool: pool, used: map[use]int{}}
}

func modulo() *service {
	return newService("modulo", 0, 0, started, lb.Service{Tracking: lb.TrackChanges})
}

func maglev() *service {
	return newService("maglev", 1, 0, started, lb.Service{Scheduler: lb.Maglev, TableSize: 1009, Tracking: lb.TrackChanges})
}

func active(s lb.Service) int { return int(s.Active()) }

// Whatever comes after whatever, the service is valid and has replicas enough, and a step changes one thing.
func TestEveryPlanIsAValidService(t *testing.T) {
	for _, s := range []*service{modulo(), maglev()} {
		p := planned(t, 1)
		for n := range 150 {
			c, ok := p.plan(s, every(), nil)
			if !ok {
				t.Fatalf("change %d of %v: nothing can be done", n, s.Replicas)
			}
			if err := c.after.Validate(); err != nil {
				t.Fatalf("change %d, %s: %v", n, c.kind, err)
			}
			if active(c.after) < fewest {
				t.Fatalf("change %d, %s: %d replicas are active", n, c.kind, active(c.after))
			}
			checkKind(t, s, c)
			s.set(c.after)
		}
		for _, k := range every() {
			impossible := s.Scheduler == lb.Modulo && (k == weigh || k == resize)
			if (p.used[use{s.name, k}] == 0) != impossible {
				t.Errorf("%s: %s was done %d times", s.name, k, p.used[use{s.name, k}])
			}
		}
	}
}

// checkKind checks that a change does what its kind says.
func checkKind(t *testing.T, s *service, c change) {
	t.Helper()
	states := map[kind][2]lb.ReplicaState{
		drain: {lb.Active, lb.Draining}, expire: {lb.Active, lb.Draining}, restore: {lb.Draining, lb.Active}, lower: {lb.Active, lb.Down}, raise: {lb.Down, lb.Active},
	}
	was, listed := s.state(c.replica)
	after := s.snapshot()
	after.set(c.after)
	is, remains := after.state(c.replica)
	good := false
	switch c.kind {
	case add:
		good = !listed && remains && is == lb.Active
	case remove:
		good = listed && was == lb.Active && !remains
	case finish:
		good = listed && was == lb.Draining && !remains
	case drain, expire, restore, lower, raise:
		good = was == states[c.kind][0] && is == states[c.kind][1]
	case weigh:
		good = !slices.Equal(s.Replicas, c.after.Replicas) && len(s.Replicas) == len(c.after.Replicas)
	case resize:
		good = s.TableSize != c.after.TableSize
	case reseed:
		good = s.Seed != c.after.Seed
	}
	if !good {
		t.Errorf("%s of replica %d: from %+v to %+v", c.kind, c.replica, s.Replicas, c.after.Replicas)
	}
}

func TestGoneReplicasStayAway(t *testing.T) {
	p, s := planned(t, 2), modulo()
	for range 50 {
		c, ok := p.plan(s, []kind{add}, []int{5, 6})
		if !ok || c.replica != 7 {
			t.Fatalf("added replica %d, %v; want 7", c.replica, ok)
		}
	}
	if c, ok := p.plan(s, []kind{add}, []int{5, 6, 7}); ok {
		t.Errorf("added replica %d, want none", c.replica)
	}
}

func TestPlansDependOnTheSeedAlone(t *testing.T) {
	sequence := func(seed uint64) (kinds []kind) {
		p, s := planned(t, seed), maglev()
		for range 20 {
			c, _ := p.plan(s, every(), nil)
			kinds = append(kinds, c.kind)
			s.set(c.after)
		}
		return kinds
	}
	if a, b := sequence(3), sequence(3); !slices.Equal(a, b) {
		t.Errorf("%v, then %v", a, b)
	}
	if slices.Equal(sequence(3), sequence(4)) {
		t.Error("two seeds, one sequence")
	}
}

// Every flow that starts is remembered once the table's function has changed, and not before.
func TestWatchedFromTheFirstChangeOfTheTable(t *testing.T) {
	s := maglev()
	heavier := s.Clone()
	heavier.Replicas[0].Weight = 3
	s.set(heavier)
	if s.records() {
		t.Error("after a change of weight every flow is said to be remembered")
	}
	larger := s.Clone()
	larger.TableSize = 2003
	s.set(larger)
	if !s.records() {
		t.Error("after a change of the table's size not every flow is said to be remembered")
	}
	bare := newService("never", 0, 0, started, lb.Service{})
	bare.set(lb.Service{VIP: bare.VIP, Replicas: bare.Replicas[:4]}.WithDefaults())
	if bare.records() {
		t.Error("a service that remembers nothing is said to remember")
	}
}
