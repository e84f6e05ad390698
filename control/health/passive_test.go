package health

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lbctl/control/intent"
	"lbctl/lb"
)

// passively is a check that asks nothing: 10 new flows within 5 s decide, and half of them eject for 10 s, at most half of all.
func passively() intent.Check {
	return intent.Check{Type: intent.CheckPassive, Passive: intent.Passive{Percent: 50, NewFlows: 10, Window: 5 * time.Second, Ejection: 10 * time.Second, MostPercent: 50}}
}

// TestWindow: looks a second apart, each with so many new flows, refusals and resets more.
func TestWindow(t *testing.T) {
	p := passively().Passive
	resets := p
	resets.Counts = intent.Resets
	for name, c := range map[string]struct {
		p     intent.Passive
		looks [][3]uint64
		// want is at which look it is judged bad, and why.
		want int
		why  string
	}{
		"all of a second":            {p, [][3]uint64{{10, 10, 10}}, 1, "10 refusals of 10 new flows within 1s"},
		"half":                       {p, [][3]uint64{{10, 5, 5}}, 1, "5 refusals of 10 new flows within 1s"},
		"less than half":             {p, [][3]uint64{{10, 4, 4}, {10, 4, 4}, {100, 49, 49}}, 0, ""},
		"too few":                    {p, [][3]uint64{{9, 9, 9}}, 0, ""},
		"few, and then more":         {p, [][3]uint64{{3, 3, 3}, {}, {3, 3, 3}, {3, 3, 3}, {3, 3, 3}}, 5, "12 refusals of 12 new flows within 5s"},
		"few in every window":        {p, [][3]uint64{{3, 3, 3}, {}, {}, {}, {}, {3, 3, 3}, {}, {}, {}, {}, {3, 3, 3}, {}, {3, 3, 3}}, 0, ""},
		"good ones, then bad ones":   {p, [][3]uint64{{1000, 0, 0}, {10, 10, 10}}, 2, "10 refusals of 10 new flows within 1s"},
		"resets are no refusals":     {p, [][3]uint64{{10, 0, 10}, {10, 0, 100}}, 0, ""},
		"unless they count":          {resets, [][3]uint64{{10, 0, 4}, {10, 0, 30}}, 2, "30 resets of 10 new flows within 1s"},
		"refusals without new flows": {p, [][3]uint64{{0, 50, 50}, {0, 50, 50}}, 0, ""},
	} {
		var w window
		now, counted := time.Unix(1000, 0), lb.FlowCount{Begun: 7, Refusals: 7, Resets: 7}
		if _, is := w.add(c.p, now, counted); is {
			t.Errorf("%s: what was before the first look counts", name)
		}
		at, why := 0, ""
		for n, l := range c.looks {
			now = now.Add(time.Second)
			counted = lb.FlowCount{Begun: counted.Begun + l[0], Refusals: counted.Refusals + l[1], Resets: counted.Resets + l[2]}
			if e, is := w.add(c.p, now, counted); is {
				at, why = n+1, e.why
				break
			}
		}
		if at != c.want || why != c.why {
			t.Errorf("%s: at look %d, %q; want %d, %q", name, at, why, c.want, c.why)
		}
	}
}

// A replica that counts anew is another one, though its first counts are many.
func TestWindowOfAnother(t *testing.T) {
	p, now := passively().Passive, time.Unix(0, 0)
	var w window
	w.add(p, now, lb.FlowCount{Begun: 100})
	if _, is := w.add(p, now.Add(time.Second), lb.FlowCount{Begun: 90, Refusals: 90, Resets: 90}); is {
		t.Error("counts of before are counted")
	}
	if _, is := w.add(p, now.Add(2*time.Second), lb.FlowCount{Begun: 100, Refusals: 100, Resets: 100}); !is {
		t.Error("10 refusals of 10 are not")
	}
}

// Whatever replicas answer, no more are ejected than may be, none for fewer flows than are judged, and each comes back when its
// time has passed, not before.
func TestGroup(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := passively()
		c.Passive.MostPercent = uint16(rapid.IntRange(1, 100).Draw(t, "most"))
		s := replicas(1, rapid.IntRange(1, 12).Draw(t, "replicas"), c)
		g := group{service: &s}
		for n, r := range s.Replicas {
			s.Replicas[n].State = rapid.SampledFrom([]lb.ReplicaState{lb.Active, lb.Active, lb.Active, lb.Draining, lb.Down}).Draw(t, "state")
			target := &target{Key: Key{s.VIP, r.Address}, service: &s}
			target.beginPassive(time.Unix(0, 0), false)
			g.targets = append(g.targets, target)
		}
		active := s.Active()
		counts, sent := make([]lb.FlowCount, len(g.targets)), make([]uint64, len(g.targets))
		for second := range int64(120) {
			now, was := time.Unix(second, 0), make([]judge, len(g.targets))
			for n, x := range g.targets {
				was[n] = x.judge
				flows := uint64(0)
				if x.judge.Status == Healthy {
					flows = rapid.Uint64Range(0, 15).Draw(t, "flows")
				}
				refused := rapid.Uint64Range(0, flows).Draw(t, "refused")
				counts[n].Begun, counts[n].Refusals, counts[n].Resets = counts[n].Begun+flows, counts[n].Refusals+refused, counts[n].Resets+refused
				sent[n] += flows
			}
			changed, _ := g.look(now, slices.Clone(counts))
			ill := 0
			for n, x := range g.targets {
				if x.judge.Status == Unhealthy {
					ill++
				}
				switch ejected := x.judge.Status == Unhealthy; {
				case slices.Contains(changed, x) != (x.judge.Result != was[n].Result):
					t.Fatalf("second %d, replica %d: %+v, was %+v, and what is told is otherwise", second, n, x.judge, was[n])
				case ejected && was[n].Status == Healthy && (sent[n] < 10 || s.Replicas[n].State != lb.Active):
					t.Fatalf("second %d, replica %d: ejected after %d flows, %v", second, n, sent[n], s.Replicas[n].State)
				case ejected != (was[n].Status == Unhealthy) && !ejected && now.Sub(was[n].Since) != 10*time.Second<<was[n].flaps:
					t.Fatalf("second %d, replica %d: back after %v, fallen %d times soon", second, n, now.Sub(was[n].Since), was[n].flaps)
				case ejected && now.Sub(x.judge.Since) >= 10*time.Second<<x.judge.flaps:
					t.Fatalf("second %d, replica %d: not back after %v", second, n, now.Sub(x.judge.Since))
				case ejected:
					sent[n] = 0
				}
			}
			if ill*100 > int(c.Passive.MostPercent)*int(active) {
				t.Fatalf("second %d: %d of %d are ejected, %d %% may be", second, ill, active, c.Passive.MostPercent)
			}
		}
	})
}

// Of several that are bad at once the worst are ejected.
func TestGroupTakesTheWorst(t *testing.T) {
	s := replicas(1, 4, passively())
	s.Health.Passive.MostPercent = 25
	g := group{service: &s}
	for range s.Replicas {
		x := &target{service: &s}
		x.beginPassive(time.Unix(0, 0), false)
		g.targets = append(g.targets, x)
	}
	g.look(time.Unix(0, 0), make([]lb.FlowCount, 4))
	changed, left := g.look(time.Unix(1, 0), []lb.FlowCount{{Begun: 20, Refusals: 12}, {Begun: 20}, {Begun: 20, Refusals: 15}, {Begun: 20, Refusals: 14}})
	if len(changed) != 1 || changed[0] != g.targets[2] || left != 2 {
		t.Errorf("%d ejected, %d left", len(changed), left)
	}
}

// traffic is what counts say of one service.
type traffic struct {
	*bed
	of intent.Service
	// refuses are the replicas that refuse the 20 flows of each second.
	refuses []bool
	counts  []lb.FlowCount
}

func (c *traffic) look(of []lb.Service) [][]lb.FlowCount {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := range c.counts {
		if c.told[key(c.of, n)].Status == Unhealthy {
			continue
		}
		c.counts[n].Begun += 20
		if c.refuses[n] {
			c.counts[n].Refusals, c.counts[n].Resets = c.counts[n].Refusals+20, c.counts[n].Resets+20
		}
	}
	if len(of) != 1 || !of[0].SameAs(c.of.Service) {
		return nil
	}
	return [][]lb.FlowCount{slices.Clone(c.counts)}
}

func (c *traffic) refuse(n int, is bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuses[n] = is
}

func passing(t *testing.T, s intent.Service, o Options, do func(*traffic)) {
	c := &traffic{of: s, refuses: make([]bool, len(s.Replicas)), counts: make([]lb.FlowCount, len(s.Replicas))}
	o.Counts = c.look
	run(t, o, func(b *bed) {
		c.bed = b
		b.Set(intent.List(s))
		do(c)
	})
}

// What nobody asks is well, is ejected for what it answers, and comes back: after twice as long the second time.
func TestPassive(t *testing.T) {
	s := replicas(1, 2, passively())
	passing(t, s, Options{}, func(c *traffic) {
		k := key(s, 0)
		if r := c.after(10*time.Second, k); r.Status != Healthy || len(c.begun) != 0 {
			t.Fatalf("in the beginning %+v, and %d checks", r, len(c.begun))
		}
		c.refuse(0, true)
		r := c.after(3*time.Second, k)
		if r.Status != Unhealthy || !strings.HasPrefix(r.Reason, "20 refusals of 20 new flows within 1s; tried again at ") {
			t.Fatalf("it refuses: %+v", r)
		}
		c.refuse(1, true)
		if r := c.after(4*time.Second, key(s, 1)); r.Status != Healthy {
			t.Errorf("the last one: %+v", r)
		}
		c.refuse(1, false)
		again := c.after(20*time.Second, k)
		if again.Status != Unhealthy || again.Since.Sub(r.Since) < 11*time.Second || again.Since.Sub(r.Since) > 14*time.Second {
			t.Errorf("it still refuses: %+v, before %+v", again, r)
		}
		c.refuse(0, false)
		back := c.after(30*time.Second, k)
		if back.Status != Healthy || back.Reason != "" || back.Since.Sub(again.Since) < 20*time.Second || back.Since.Sub(again.Since) > 22*time.Second {
			t.Errorf("it is well: %+v, ejected %+v", back, again)
		}
	})
}

// A check brings back what its traffic has ejected, when it has been found well as often as a rise takes; what cannot be checked
// comes back as if nothing asked.
func TestPassiveBesideACheck(t *testing.T) {
	s := replicas(1, 2, every(4*time.Second))
	s.Health.Passive = passively().Passive
	passing(t, s, Options{}, func(c *traffic) {
		k := key(s, 0)
		c.after(10*time.Second, k)
		c.refuse(0, true)
		r := c.after(3*time.Second, k)
		if r.Status != Unhealthy || r.Reason != "20 refusals of 20 new flows within 1s" {
			t.Fatalf("it refuses: %+v", r)
		}
		c.refuse(0, false)
		back := c.after(10*time.Second, k)
		if took := back.Since.Sub(r.Since); back.Status != Healthy || took < 3*time.Second || took > 9*time.Second {
			t.Errorf("after two checks: %+v, ejected %+v", back, r)
		}
		c.make(k, &cannotCheck{errors.New("no route")})
		c.after(5*time.Second, k)
		c.refuse(0, true)
		if r = c.after(3*time.Second, k); r.Status != Unhealthy {
			t.Fatalf("it refuses: %+v", r)
		}
		c.refuse(0, false)
		if r := c.after(5*time.Second, k); r.Status != Unhealthy {
			t.Errorf("within its ejection: %+v", r)
		}
		if r := c.after(10*time.Second, k); r.Status != Unknown || r.Reason != "no route" {
			t.Errorf("after it: %+v", r)
		}
	})
}

// What was without traffic when the daemon started stays so for one ejection.
func TestPassiveOverARestart(t *testing.T) {
	s := replicas(1, 2, passively())
	passing(t, s, Options{Held: func(k Key) bool { return k == key(s, 1) }}, func(c *traffic) {
		r := c.after(9*time.Second, key(s, 1))
		if r.Status != Unhealthy || !strings.HasPrefix(r.Reason, inherited) || c.after(0, key(s, 0)).Status != Healthy {
			t.Errorf("after the start: %+v", r)
		}
		if r := c.after(3*time.Second, key(s, 1)); r.Status != Healthy {
			t.Errorf("after the ejection: %+v", r)
		}
	})
}
