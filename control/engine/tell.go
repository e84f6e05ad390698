package engine

import (
	"maps"
	"net/netip"
	"slices"

	"lbctl/control/intent"
	"lbctl/control/reconcile"
	"lbctl/control/store"
	"lbctl/lb"
)

// tell publishes and logs what is different between two states that follow each other, and the revisions between.
func (e *Engine) tell(old, now *Snapshot, fresh ...store.Revision) {
	publish := func(n News, services ...string) {
		e.events.publish(Event{Time: e.clock.Now(), Revision: now.Number, Services: services, News: n})
	}
	before := old.Intent
	for _, r := range fresh {
		e.events.publish(Event{Time: e.clock.Now(), Revision: r.Number, Services: differing(before, r.Intent), News: IntentChanged{Actor: r.Actor, Reason: r.Reason}})
		before = r.Intent
	}
	logged := e.tellHealth(old, now, publish)
	for _, c := range replicaChanges(old, now) {
		if !logged[c.Endpoint] {
			e.log.Info(c.Why+", replica is "+c.After.String(), "service", c.Service, "replica", c.Replica, "was", c.Before)
		}
		publish(c, c.Service)
	}
	for _, name := range slices.Sorted(maps.Keys(now.obstacles)) {
		if why := now.obstacles[name]; old.obstacles[name] != why {
			e.log.Warn("interface is wanted and not attached", "interface", name, "reason", why)
			publish(InterfaceMissing{name, why})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old.obstacles)) {
		_, wanted := now.Intent.Interface(name)
		if _, still := now.obstacles[name]; wanted && !still {
			e.log.Info("interface is attached", "interface", name)
			publish(InterfaceAttached{name})
		}
	}
	switch {
	case now.outOfSync == old.outOfSync:
	case now.outOfSync != "":
		e.log.Error("out of sync", "reason", now.outOfSync)
		publish(OutOfSync{now.outOfSync})
	default:
		e.log.Info("in sync")
		publish(InSync{})
	}
}

// differing names the services that are not in both intents as they are in the other, or not by hand, in order, namedServices at most.
func differing(old, now intent.Intent) (names []string) {
	var removed []string
	byHand := old.Overrides.Differing(now.Overrides)
	for was, is := range intent.Pairs(old.Services, now.Services) {
		switch {
		case is == nil:
			removed = append(removed, was.Name)
		case was == nil || !was.Same(is) || len(byHand) > 0 && byHand[is.Name]:
			names = append(names, is.Name)
		}
	}
	slices.Sort(removed)
	names = append(names, removed...)
	return names[:min(len(names), namedServices)]
}

// having names the services with a replica, namedServices at most.
func having(i intent.Intent, replica netip.AddrPort) (names []string) {
	for _, s := range i.Services {
		if _, has := s.State(replica); has && len(names) < namedServices {
			names = append(names, s.Name)
		}
	}
	return names
}

// logRemovals lists what steps have removed: services, replicas and interfaces, by the names of the intent before.
func (e *Engine) logRemovals(before reconcile.State, old intent.Intent, steps []reconcile.Step) {
	concerned := map[lb.VIP]bool{}
	for _, step := range steps {
		if step.Verb == reconcile.Remove || step.Verb == reconcile.Set && step.Why != reconcile.New {
			concerned[step.Service.VIP] = true
		}
	}
	had, names := map[lb.VIP]*lb.Service{}, map[lb.VIP]string{}
	for _, s := range before.Services {
		if len(concerned) > 0 && concerned[s.VIP] {
			had[s.VIP] = s
		}
	}
	for _, s := range old.Services {
		if len(concerned) > 0 && concerned[s.VIP] {
			names[s.VIP] = s.Name
		}
	}
	for _, step := range steps {
		vip := step.Service.VIP
		switch step.Verb {
		case reconcile.Remove:
			e.log.Info("removed service", "service", names[vip], "vip", vip)
		case reconcile.Detach:
			e.log.Info("detached interface", "interface", step.Interface.Name)
		case reconcile.Set:
			if had[vip] == nil {
				continue
			}
			for _, r := range had[vip].Replicas {
				if !slices.ContainsFunc(step.Service.Replicas, func(s lb.Replica) bool { return s.Address == r.Address }) {
					e.log.Info("removed replica", "service", names[vip], "replica", r.Address)
				}
			}
		}
	}
}

// deviation is a replica whose effective state is not the intended one.
type deviation struct {
	service             *intent.Service
	intended, effective lb.ReplicaState
}

func deviations(s *Snapshot) map[Endpoint]deviation {
	found := map[Endpoint]deviation{}
	for n, effective := range s.Effective.Services {
		intended := s.Wanted.Services[n]
		if effective == intended {
			continue
		}
		for k, r := range effective.Replicas {
			if want := intended.Replicas[k].State; want != r.State {
				found[Endpoint{effective.VIP, r.Address}] = deviation{intended, want, r.State}
			}
		}
	}
	return found
}

// replicaChanges returns the replicas whose effective state has changed while their intended one has not, by
// service and address.
func replicaChanges(old, now *Snapshot) []ReplicaChanged {
	before, after := deviations(old), deviations(now)
	if len(before)+len(after) == 0 {
		return nil
	}
	var all []ReplicaChanged
	had, has := old.Wanted.ByVIP(), now.Wanted.ByVIP()
	for p, o := range after {
		was, there := had[p.VIP].State(p.Replica)
		if b, deviated := before[p]; deviated {
			was, there = b.effective, there && b.intended == o.intended
		} else {
			there = there && was == o.intended
		}
		if there && was != o.effective {
			all = append(all, ReplicaChanged{o.service.Name, p, was, o.effective, now.why(p)})
		}
	}
	for p, o := range before {
		is, there := has[p.VIP].State(p.Replica)
		if _, still := after[p]; !still && there && is == o.intended {
			why := "as intended again"
			if now.health[p.VIP][p.Replica].ill() {
				why = "no replica is healthy, all get traffic"
			}
			all = append(all, ReplicaChanged{has[p.VIP].Name, p, o.effective, is, why})
		}
	}
	slices.SortFunc(all, func(a, b ReplicaChanged) int {
		if c := a.VIP.Compare(b.VIP); c != 0 {
			return c
		}
		return a.Replica.Compare(b.Replica)
	})
	return all
}

// why says why a replica is not in the intended state.
func (s *Snapshot) why(p Endpoint) string {
	if h := s.health[p.VIP][p.Replica]; h.ill() {
		return h.Reason
	}
	return "drain deadline passed"
}
