package engine

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"lbctl/control/intent"
	"lbctl/lb"
)

// HealthStatus is what is known of the health of a replica.
type HealthStatus uint8

const (
	// Unknown: no check has ended yet, or none can be made. The replica counts as healthy.
	Unknown HealthStatus = iota
	Healthy
	Unhealthy
)

// String returns "unknown", "healthy" or "unhealthy".
func (s HealthStatus) String() string { return [...]string{"unknown", "healthy", "unhealthy"}[s] }

// Health is what is known of the health of a replica.
type Health struct {
	Status HealthStatus
	// Since is when that became so.
	Since time.Time
	// Reason is what was found last: why the replica is not healthy, or why that is not known; "" of one that is.
	Reason string
	// held keeps a replica of which nothing is known yet as it was found: without traffic.
	held bool
	// rose is when it became healthy again, of one that is starting or has started: see slowstart.go.
	rose time.Time
}

// Held tells whether it was found without traffic, for it was unhealthy, and nothing else is known.
func (h Health) Held() bool { return h.held }

// ill tells whether the replica is to get nothing.
func (h Health) ill() bool { return h.Status == Unhealthy || h.held }

// Healths are what is known of the replicas of services that are checked. They are not changed, but replaced.
type Healths map[lb.VIP]map[netip.AddrPort]Health

// notYet is the reason of Unknown before the first check has ended.
const notYet = "not checked yet"

// Health returns what is known of a replica, false for one that is not checked.
func (s *Snapshot) Health(of Endpoint) (h Health, checked bool) {
	h, checked = s.health[of.VIP][of.Replica]
	return h, checked
}

// SetHealth takes what checks have found. Replicas that are not checked any more are ignored. The services of which that changes
// what is to be forwarded are set, and no others are looked at; nothing is stored. A service that the datapath refuses is
// forwarded as before: Status says so, and Run tries again.
func (e *Engine) SetHealth(ctx context.Context, found map[Endpoint]Health) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if next, changed := e.health.with(found); len(changed) > 0 {
		e.follow(ctx, next, changed)
	}
}

// follow takes next over and sets the services that are to be forwarded otherwise then: of those that are changed or, where
// changed is nil, of those that have a slow start. The caller holds mu.
func (e *Engine) follow(ctx context.Context, next Healths, changed map[lb.VIP]bool) {
	old, moment := e.now.Load(), e.clock.Now()
	now := *old
	now.Effective.Services = slices.Clone(old.Effective.Services)
	var at []int
	var looked []*intent.Service
	for n, s := range old.Given.Services {
		if changed[s.VIP] {
			rise(e.health[s.VIP], next[s.VIP], s.Health.SlowStart, moment)
		} else if changed != nil || s.Health.SlowStart == 0 {
			continue
		}
		looked = append(looked, s)
		is := effectiveService(s, next[s.VIP], moment)
		same := is == old.Effective.Services[n] || is.SameAs(old.Effective.Services[n].Service)
		if changed[s.VIP] || !same {
			at = append(at, n)
		}
		if same {
			continue
		}
		if err := e.dp.SetService(context.WithoutCancel(ctx), is.Service); err != nil {
			now.forwarded, now.outOfSync = false, fmt.Sprintf("service %s is not forwarded as the health of its replicas wants: %v", s.Name, err)
			continue
		}
		now.Effective.Services[n] = is
	}
	e.health, now.health = next, next
	now.nextStep = nextStep(looked, next, moment)
	if was := old.nextStep; changed != nil && !was.IsZero() && (now.nextStep.IsZero() || was.Before(now.nextStep)) {
		now.nextStep = was
	}
	e.now.Store(&now)
	e.tell(old.only(at), now.only(at))
	e.wake()
}

// only returns the state with those services alone.
func (s *Snapshot) only(at []int) *Snapshot {
	some := *s
	for _, i := range []*intent.Intent{&some.Intent, &some.Wanted, &some.Given, &some.Effective} {
		all := i.Services
		i.Services = make([]*intent.Service, 0, len(at))
		for _, n := range at {
			i.Services = append(i.Services, all[n])
		}
	}
	return &some
}

// with returns healths with what was found, and the services of which something is different.
func (h Healths) with(found map[Endpoint]Health) (Healths, map[lb.VIP]bool) {
	next, changed := h, map[lb.VIP]bool{}
	for of, f := range found {
		was, checked := next[of.VIP][of.Replica]
		if f.rose = was.rose; !checked || was == f {
			continue
		}
		if len(changed) == 0 {
			next = maps.Clone(h)
		}
		if !changed[of.VIP] {
			next[of.VIP], changed[of.VIP] = maps.Clone(next[of.VIP]), true
		}
		next[of.VIP][of.Replica] = f
	}
	return next, changed
}

// of returns the healths of the replicas of an intent that are checked: what is known, as far as it is. had finds the services
// of before, next are those after.
func (h Healths) of(had func(int, lb.VIP) *intent.Service, next []*intent.Service, now time.Time) Healths {
	all := make(Healths, len(h))
	for n, s := range next {
		vip := s.VIP
		if s.Health.Type == intent.NoCheck {
			continue
		}
		if was, known := had(n, vip), h[vip]; was != nil && len(known) == len(s.Replicas) && (was == s || was.SameAs(s.Service)) {
			all[vip] = known
			continue
		}
		all[vip] = make(map[netip.AddrPort]Health, len(s.Replicas))
		for _, r := range s.Replicas {
			known, is := h[vip][r.Address]
			if !is {
				known = unchecked(s.Health, now)
			}
			all[vip][r.Address] = known
		}
	}
	return all
}

// unchecked is what is known of a replica before anything is: where nothing is asked, that it is well until its traffic says
// otherwise.
func unchecked(c intent.Check, now time.Time) Health {
	if c.Type == intent.CheckPassive {
		return Health{Status: Healthy, Since: now}
	}
	return Health{Since: now, Reason: notYet}
}

// inherited returns what an earlier process has left: replicas that are checked, that were to be active and that the datapath
// has down get nothing until they are found to be healthy; those that have less than their weight are starting.
func inherited(stored intent.Intent, forwarded []*lb.Service, now time.Time) Healths {
	all, had := Healths{}, stored.ByVIP()
	for _, s := range forwarded {
		if was := had[s.VIP]; was.Health.Type != intent.NoCheck {
			all[s.VIP] = inheritedOf(was, *s, now)
		}
	}
	return all
}

func inheritedOf(was intent.Service, s lb.Service, now time.Time) map[netip.AddrPort]Health {
	all, most := map[netip.AddrPort]Health{}, 0.0
	for _, r := range s.Replicas {
		if n := was.Index(r.Address); n >= 0 {
			most = max(most, float64(r.Weight)/float64(was.Replicas[n].Weight))
		}
	}
	for _, r := range s.Replicas {
		n := was.Index(r.Address)
		if n < 0 || was.Replicas[n].State != lb.Active {
			continue
		}
		if r.State == lb.Down {
			all[r.Address] = Health{Since: now, Reason: notYet + "; it was unhealthy when the daemon started", held: true}
		} else if rose := startsLeft(r.Weight, was.Replicas[n].Weight, most, was.Health.SlowStart, now); !rose.IsZero() {
			all[r.Address] = Health{Since: now, Reason: notYet, rose: rose}
		}
	}
	return all
}

// healthChanges returns the replicas of which something else is known than before, by service and address.
func healthChanges(old, now *Snapshot) (all []HealthChanged) {
	if len(now.health) == 0 {
		return nil
	}
	for _, s := range now.Given.Services {
		known, before := now.health[s.VIP], old.health[s.VIP]
		if len(known) == 0 {
			continue
		}
		for _, r := range s.Replicas {
			is, checked := known[r.Address]
			was := before[r.Address]
			if checked && is.Status != was.Status {
				if is.Status == Healthy && is.rose != was.rose {
					is.Reason = fmt.Sprintf("starting: it takes its share within %v", s.Health.SlowStart)
				}
				all = append(all, HealthChanged{s.Name, Endpoint{s.VIP, r.Address}, was.Status, is.Status, is.Reason})
			}
		}
	}
	return all
}

// tellHealth logs and publishes what has changed of the health of replicas, and which services have none that is healthy. It
// returns the replicas.
func (e *Engine) tellHealth(old, now *Snapshot, publish func(News, ...string)) map[Endpoint]bool {
	told := map[Endpoint]bool{}
	changes := healthChanges(old, now)
	if len(changes) == 0 {
		return told
	}
	effective := now.Effective.ByVIP()
	concerned := map[lb.VIP]bool{}
	for _, c := range changes {
		concerned[c.VIP], told[c.Endpoint] = true, true
		state, _ := effective[c.VIP].State(c.Replica)
		about := []any{"service", c.Service, "replica", c.Replica, "state", state}
		switch c.After {
		case Unhealthy:
			e.log.Warn("replica is unhealthy", append(about, "reason", c.Reason)...)
		case Healthy:
			if c.Reason != "" {
				about = append(about, "share", c.Reason)
			}
			e.log.Info("replica is healthy", about...)
		}
		publish(c, c.Service)
	}
	had := old.Given.Lookup()
	for n, s := range now.Given.Services {
		if !concerned[s.VIP] {
			continue
		}
		was := had(n, s.VIP)
		ill, before := noneWell(s, now.health[s.VIP]), was == nil || noneWell(was, old.health[s.VIP])
		switch {
		case ill == before || s.Active() == 0:
		case !ill:
			e.log.Info("a replica is healthy again", "service", s.Name)
		case s.Health.WhenNone == intent.AllServe:
			e.log.Warn("no replica is healthy: health is disregarded, and all get traffic", "service", s.Name)
		default:
			e.log.Warn("no replica is healthy: packets are dropped", "service", s.Name)
		}
	}
	return told
}
