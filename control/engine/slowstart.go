package engine

import (
	"context"
	"net/netip"
	"time"

	"lbctl/control/intent"
	"lbctl/lb"
)

// A replica that becomes healthy again takes its share step by step, where its service asks for a slow start. That scales its
// weight in the effective state; neither the intent nor what is set by hand changes. It is so for replicas that checks
// have found unhealthy, or that were without traffic for that reason when the daemon started. New replicas, those that an
// operator takes back, and all at a start of the daemon have their whole share at once; a start of a replica that was under
// way then goes on.
//
// Replicas of a service take their steps at the same times, so that it has at most startSteps tables within a slow
// start, and all services together at most ten times a second.

// startSteps is how many steps there are: the first is a tenth of the share, the last one all of it.
const startSteps = 10

// stepsEvery is the least time from steps to the next. Where they take long, it is four times as long as the last ones took.
const stepsEvery = 100 * time.Millisecond

// step returns which one a replica has come to: startSteps unless it is starting.
func (h Health) step(slow time.Duration, now time.Time) int64 {
	since := now.Sub(h.rose)
	if h.rose.IsZero() || since >= slow {
		return startSteps
	}
	return 1 + int64(max(since, 0)*(startSteps-1)/slow)
}

// nextStep returns when the step after that begins, false where there is none.
func (h Health) nextStep(slow time.Duration, now time.Time) (time.Time, bool) {
	step := h.step(slow, now)
	if step == startSteps {
		return time.Time{}, false
	}
	// Rounded up: at that time the step has begun.
	return h.rose.Add((time.Duration(step)*slow + startSteps - 2) / (startSteps - 1)), true
}

// Share returns how much of its share of new flows a replica is to get, in percent: less than 100 while it is starting.
func (s *Snapshot) Share(of intent.Service, replica netip.AddrPort, now time.Time) int64 {
	return s.health[of.VIP][replica].step(of.Health.SlowStart, now) * 100 / startSteps
}

// slowly scales the weights of a service: those of replicas that are starting are less than the others'. Where all
// active ones are as far as each other nothing is less.
func slowly(s *intent.Service, health map[netip.AddrPort]Health, now time.Time) *intent.Service {
	least, most, heaviest := int64(startSteps), int64(1), uint16(1)
	for _, r := range s.Replicas {
		if r.State == lb.Active {
			step := health[r.Address].step(s.Health.SlowStart, now)
			least, most, heaviest = min(least, step), max(most, step), max(heaviest, r.Weight)
		}
	}
	if least >= most {
		return s
	}
	up := int64(startSteps)
	if int64(heaviest)*up > maxWeight {
		up = 1
	}
	all := s.AllReplicas()
	for n, r := range all {
		all[n].Weight = uint16(max(int64(r.Weight)*up*health[r.Address].step(s.Health.SlowStart, now)/startSteps, 1))
	}
	slow := s.WithReplicas(all)
	return &slow
}

// maxWeight is that of lb.Replica.
const maxWeight = 1<<16 - 1

// rise notes which replicas of a service have become healthy again. Those that are starting already say when there are
// steps.
func rise(was, is map[netip.AddrPort]Health, slow time.Duration, now time.Time) {
	from := now
	for _, h := range is {
		if next, starting := h.nextStep(slow, now); starting && !h.ill() {
			from = next.Add(-slow / (startSteps - 1))
			break
		}
	}
	for a, h := range is {
		switch {
		case h.ill() || slow == 0:
			h.rose = time.Time{}
		case was[a].ill():
			h.rose = from
		}
		is[a] = h
	}
}

// nextStep returns when the next step of a replica of services begins, the zero time where none is starting.
func nextStep(services []*intent.Service, health Healths, now time.Time) (next time.Time) {
	for _, s := range services {
		if s.Health.SlowStart == 0 {
			continue
		}
		for _, h := range health[s.VIP] {
			if at, starting := h.nextStep(s.Health.SlowStart, now); starting && (next.IsZero() || at.Before(next)) {
				next = at
			}
		}
	}
	return next
}

// takeSteps has replicas that are starting take the steps that have come.
func (e *Engine) takeSteps(ctx context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.clock.Now()
	if due := e.stepsDue(); due.IsZero() || due.After(now) {
		return
	}
	began := time.Now()
	e.follow(ctx, e.health, nil)
	e.noStepsUntil = now.Add(max(stepsEvery, 4*time.Since(began)))
}

// stepsDue returns when steps are to be taken next, the zero time for never.
func (e *Engine) stepsDue() time.Time {
	next := e.now.Load().nextStep
	if !next.IsZero() && next.Before(e.noStepsUntil) {
		return e.noStepsUntil
	}
	return next
}

// startsLeft returns since when a replica is starting that an earlier process has left with a part of its weight, the
// zero time for one that has all of it. most is the greatest ratio of a weight of the service to what it was to be.
func startsLeft(found, wanted uint16, most float64, slow time.Duration, now time.Time) time.Time {
	step := int64(startSteps*float64(found)/(float64(wanted)*most) + .5)
	if slow == 0 || step >= startSteps {
		return time.Time{}
	}
	return now.Add(-time.Duration(max(step, 1)-1) * slow / (startSteps - 1))
}
