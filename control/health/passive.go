package health

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"lbctl/control/intent"
	"lbctl/lb"
)

// lookEvery is the least time from one look at what passes the datapath to the next. It is also ten times what the last took.
const lookEvery = time.Second

// inherited is the reason of a replica that an earlier process has ejected.
const inherited = "it was without traffic when the daemon started"

// window gathers what a replica's traffic says, from look to look. The zero value has not looked.
type window struct {
	seen       lb.FlowCount
	looked     time.Time
	began      time.Time
	flows, ill uint64
}

// evidence is why a replica is to be ejected, and how much of its new flows were answered badly.
type evidence struct {
	share float64
	why   string
}

// restart begins anew with what is counted so far.
func (w *window) restart(now time.Time, counted lb.FlowCount) {
	*w = window{seen: counted, looked: now, began: now}
}

// add takes what is counted at a look. Once there are flows enough it judges them, and begins anew.
func (w *window) add(p intent.Passive, now time.Time, counted lb.FlowCount) (e evidence, is bool) {
	if w.looked.IsZero() || counted.Begun < w.seen.Begun || counted.Resets < w.seen.Resets || counted.Refusals < w.seen.Refusals {
		w.restart(now, counted) // another replica in its place
		return e, false
	}
	if now.Sub(w.began) > p.Window {
		w.began, w.flows, w.ill = w.looked, 0, 0
	}
	ill := counted.Refusals - w.seen.Refusals
	if p.Counts == intent.Resets {
		ill = counted.Resets - w.seen.Resets
	}
	w.flows, w.ill = w.flows+counted.Begun-w.seen.Begun, w.ill+ill
	w.seen, w.looked = counted, now
	if w.flows < uint64(p.NewFlows) {
		return e, false
	}
	e.share = float64(w.ill) / float64(w.flows)
	e.why = fmt.Sprintf("%d %v of %d new flows within %v", w.ill, p.Counts, w.flows, max(now.Sub(w.began).Round(time.Second), time.Second))
	is = w.ill*100 >= uint64(p.Percent)*w.flows
	w.restart(now, counted)
	return e, is
}

// group are the replicas of a service whose traffic is looked at, in its order.
type group struct {
	service *intent.Service
	targets []*target
}

// back is when an ejected replica comes back where no check says so.
func (t *target) back() time.Time {
	return t.judge.Since.Add(t.service.Health.Passive.Ejection << t.judge.flaps)
}

// eject makes a replica unhealthy.
func (t *target) eject(now time.Time, why string) {
	t.judge.eject(now)
	if t.service.Health.Type == intent.CheckPassive {
		why += "; tried again at " + t.back().UTC().Format(time.RFC3339)
	}
	t.judge.Reason = why
}

// beginPassive says what is known of a replica of which nothing is, and that nothing asks: it is well unless an earlier process
// has ejected it.
func (t *target) beginPassive(now time.Time, held bool) {
	switch {
	case t.judge.Status != Unknown:
	case held:
		t.eject(now, inherited)
	default:
		t.judge.become(Healthy, now)
	}
}

// look takes what is counted of the flows of a group's replicas. It returns the replicas of which something else is known then, and
// how many were left though what they answer speaks against them: too many are unhealthy already.
func (g group) look(now time.Time, counted []lb.FlowCount) (changed []*target, left int) {
	type candidate struct {
		*target
		evidence
	}
	var bad []candidate
	p, active, ill := g.service.Health.Passive, 0, 0
	for n, t := range g.targets {
		if g.service.Health.Type == intent.CheckPassive && t.judge.Status == Unhealthy && !now.Before(t.back()) {
			t.judge.become(Healthy, now)
			t.judge.Reason = ""
			changed = append(changed, t)
		}
		if g.service.Replicas[n].State != lb.Active {
			t.window.restart(now, counted[n])
			continue
		}
		active++
		if t.judge.Status == Unhealthy {
			ill++
			t.window.restart(now, counted[n])
		} else if e, is := t.window.add(p, now, counted[n]); is {
			bad = append(bad, candidate{t, e})
		}
	}
	slices.SortStableFunc(bad, func(a, b candidate) int { return cmp.Compare(b.share, a.share) })
	for _, t := range bad {
		if (ill+1)*100 > int(p.MostPercent)*active {
			left++
			continue
		}
		ill++
		t.eject(now, t.why)
		changed = append(changed, t.target)
	}
	return changed, left
}

// counted is what a look has found of groups.
type counted struct {
	groups []group
	flows  [][]lb.FlowCount
	took   time.Duration
}

// lookSoon begins a look when it is time to.
func (r *runner) lookSoon(now time.Time) {
	if len(r.groups) == 0 || r.looking || now.Before(r.nextLook) {
		return
	}
	r.looking, r.nextLook = true, now.Add(lookEvery)
	groups := r.groups
	r.checks.Go(func() {
		of := make([]lb.Service, len(groups))
		for n, g := range groups {
			of[n] = g.service.Service
		}
		began := time.Now()
		r.counted <- counted{groups, r.o.Counts(of), time.Since(began)}
	})
}

// look takes what a look has found.
func (r *runner) look(c counted, now time.Time) {
	r.looking, r.nextLook = false, maxTime(r.nextLook, now.Add(9*c.took))
	for n, flows := range c.flows {
		g := c.groups[n]
		if slices.ContainsFunc(g.targets, func(t *target) bool { return t.gone }) {
			continue // the service has changed meanwhile
		}
		changed, left := g.look(now, flows)
		for _, t := range changed {
			r.tell(t.Key, t.judge.Result)
			if t.judge.Status == Unhealthy {
				r.ejections.WithLabelValues(g.service.Name, "ejected").Inc()
			}
		}
		if left > 0 {
			r.ejections.WithLabelValues(g.service.Name, "too_many").Add(float64(left))
		}
	}
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
