package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lbctl/control/intent"
	"lbctl/control/reconcile"
	"lbctl/control/store"
	"lbctl/lb"
)

// mayBeMissing lets every interface be missing.
func mayBeMissing(intent.Interface) bool { return true }

// install makes the datapath forward as the last of some revisions says, and stores those that differ from the one before. Interfaces that may be missing and cannot be attached are left out, and so are services that cannot
// be set and that the change leaves as they were: the state is out of sync then. The caller holds mu.
func (e *Engine) install(ctx context.Context, all []store.Revision, may func(intent.Interface) bool) ([]reconcile.Step, error) {
	began, old, next := time.Now(), e.now.Load(), all[len(all)-1].Intent
	before, err := e.current(old)
	if err != nil {
		return nil, err
	}
	installed, wanted := false, next.Wanted()
	x := execution{dp: e.dp, may: may, had: old.Wanted.Lookup(), next: wanted.Lookup(), links: linksOf(before)}
	defer func() {
		if !installed { // also when the datapath panics
			e.rollBack(ctx, before, next.Datapath.Limits)
		}
		e.applied.note(time.Since(began), x.done, installed)
	}()
	x.remember(old, next)
	facts := e.facts(x.links, e.health.of(x.had, wanted.Services, e.clock.Now()))
	aim := stateOf(Effective(next, facts))
	if err := x.run(ctx, reconcile.Plan(before, aim, next.Datapath.Limits)); err != nil {
		return nil, err
	}
	// The obstacles that were met are among the facts by now.
	now := &Snapshot{Revision: old.Revision, Wanted: wanted, Given: given(next, facts.Now), Effective: x.brought(Effective(next, facts), old),
		health: facts.Health, nextStep: nextStep(wanted.Services, facts.Health, facts.Now), obstacles: x.links.obstacles(next), outOfSync: x.notSet()}
	now.draining, now.forwarded = now.drain(old), now.outOfSync == ""
	fresh := e.fresh(old.Revision, all)
	if len(fresh) > 0 {
		now.Revision = fresh[len(fresh)-1]
		if _, err := e.store.Append(ctx, old.Number, fresh...); err != nil {
			return nil, err
		}
	}
	installed = true
	e.health = now.health
	e.become(now, fresh...)
	if all[0].Actor != "" || len(x.done) > 0 {
		e.logRemovals(before, old.Intent, x.done)
		e.logInstalled(now.Number, all, fresh, len(x.done))
	}
	return x.done, nil
}

// fresh returns those revisions that differ from the one before, with numbers and times. The first of all does.
func (e *Engine) fresh(old store.Revision, all []store.Revision) (fresh []store.Revision) {
	for _, r := range all {
		if old.Number != 0 && r.Intent.Equal(old.Intent) {
			continue
		}
		if r.Number = old.Number + 1; r.Time.IsZero() {
			r.Time = e.clock.Now().UTC()
		}
		fresh, old = append(fresh, r), r
	}
	return fresh
}

func (e *Engine) logInstalled(number uint64, all, fresh []store.Revision, steps int) {
	if len(fresh) == 0 {
		e.log.Info("installed", "revision", number, "steps", steps, "actor", all[0].Actor, "reason", all[0].Reason)
	}
	for _, r := range fresh {
		e.log.Info("installed", "revision", r.Number, "steps", steps, "actor", r.Actor, "reason", r.Reason, "together", len(fresh))
	}
}

// current returns what the datapath forwards.
func (e *Engine) current(now *Snapshot) (reconcile.State, error) {
	if !now.forwarded {
		return reconcile.Current(e.dp)
	}
	interfaces, err := e.dp.Interfaces()
	return reconcile.State{Services: now.Effective.References(), Interfaces: reconcile.Attached(interfaces)}, err
}

// become makes a state the present one, and tells of it and of the revisions that it brings.
func (e *Engine) become(now *Snapshot, fresh ...store.Revision) {
	old := e.now.Swap(now)
	e.tell(old, now, fresh...)
	e.wake()
}

// wake has Run look when to check next.
func (e *Engine) wake() {
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

// rollBack brings the datapath back to what it forwarded before a change, also when that failed because ctx has ended.
func (e *Engine) rollBack(ctx context.Context, before reconcile.State, limits lb.Limits) {
	ctx = context.WithoutCancel(ctx)
	current, err := reconcile.Current(e.dp)
	if err == nil {
		err = reconcile.Execute(ctx, e.dp, reconcile.Plan(current, before, limits))
	}
	if err != nil {
		e.log.Error("roll back", "error", err)
		e.fallOutOfSync("a change was refused and could not be rolled back: " + err.Error())
	}
}

func (e *Engine) fallOutOfSync(why string) {
	now := *e.now.Load()
	now.outOfSync, now.health, now.forwarded = why, e.health, false
	e.become(&now)
}

func (e *Engine) facts(links Links, health Healths) Facts {
	return Facts{Now: e.clock.Now(), Health: health, Links: links}
}

// stateOf returns an effective intent as the state that a datapath is brought to.
func stateOf(i intent.Intent) reconcile.State {
	return reconcile.State{Services: i.References(), Interfaces: i.Interfaces}
}

// linksOf returns how interfaces are attached.
func linksOf(s reconcile.State) Links {
	links := Links{}
	for _, a := range s.Interfaces {
		links[a.Name] = Link{Mode: a.Mode}
	}
	return links
}

func (l Links) obstruct(name, why string) {
	link := l[name]
	link.Obstacle = why
	l[name] = link
}

// obstacles are those of interfaces that an intent wants, by name.
func (l Links) obstacles(i intent.Intent) map[string]string {
	found := map[string]string{}
	for _, a := range i.Interfaces {
		if why := l[a.Name].Obstacle; why != "" {
			found[a.Name] = why
		}
	}
	return found
}

func wants(i intent.Intent, a intent.Interface) bool {
	wanted, is := i.Interface(a.Name)
	return is && wanted == a
}

// execution is the steps of one change under way.
type execution struct {
	dp lb.Dataplane
	// may tells of which interfaces an attach may be refused.
	may func(intent.Interface) bool
	// had and next find the services that were wanted before the change and are after it.
	had, next func(int, lb.VIP) *intent.Service
	links     Links
	done      []reconcile.Step
	// refused are the refusals of services that may be refused.
	refused []*reconcile.StepError
}

// mayRefuse tells whether the datapath may refuse a step, and the change goes on.
func (x *execution) mayRefuse(refused *reconcile.StepError) bool {
	switch s := refused.Step; s.Verb {
	case reconcile.Attach:
		return x.may(s.Interface)
	case reconcile.Set:
		was, is := x.had(0, s.Service.VIP), x.next(0, s.Service.VIP)
		return was != nil && is != nil && was.Equal(*is) && !errors.Is(refused, context.Canceled) && !errors.Is(refused, lb.ErrDenied)
	}
	return false
}

// brought returns what the datapath was brought to: of an effective intent what it took, and the rest as it was.
func (x *execution) brought(effective intent.Intent, old *Snapshot) intent.Intent {
	if len(x.refused) == 0 {
		return effective
	}
	effective.Services = slices.Clone(effective.Services)
	was := old.Effective.Lookup()
	for n, s := range effective.Services {
		if slices.ContainsFunc(x.refused, func(r *reconcile.StepError) bool { return r.Step.Service.VIP == s.VIP }) {
			effective.Services[n] = was(n, s.VIP)
		}
	}
	return effective
}

// notSet says which services the datapath refused, "" if it took all.
func (x *execution) notSet() string {
	if len(x.refused) == 0 {
		return ""
	}
	first := x.refused[0]
	why := fmt.Sprintf("service %s is not forwarded as intended: %v", x.next(0, first.Step.Service.VIP).Name, first)
	if more := len(x.refused) - 1; more > 0 {
		why += fmt.Sprintf(" (and %d more)", more)
	}
	return why
}

// remember keeps the obstacle of an interface that is attached in another mode than the wanted one: to try
// again would interrupt its traffic.
func (x *execution) remember(old *Snapshot, next intent.Intent) {
	for name, why := range old.obstacles {
		a, _ := old.Intent.Interface(name)
		mode := x.links[name].Mode
		if mode != "" && !reconcile.Fulfils(mode, a.Mode) && wants(next, a) && x.may(a) {
			x.links.obstruct(name, why)
		}
	}
}

// run does the steps. What may be refused, and is, is left out; an interface has an obstacle then. At any other
// refusal run stops and returns it; the steps before are done.
func (x *execution) run(ctx context.Context, steps []reconcile.Step) error {
	for {
		err := reconcile.Execute(ctx, x.dp, steps)
		var refused *reconcile.StepError
		if !errors.As(err, &refused) {
			x.done = append(x.done, steps...)
			return err
		}
		x.done = append(x.done, steps[:refused.Done]...)
		if !x.mayRefuse(refused) {
			return err
		}
		steps = steps[refused.Done+1:]
		if refused.Step.Verb == reconcile.Set {
			x.refused = append(x.refused, refused)
			continue
		}
		x.links.obstruct(refused.Step.Interface.Name, refused.Err.Error())
		if err := x.reattach(ctx, refused.Step.Interface.Name); err != nil {
			return err
		}
	}
}

// reattach attaches an interface as it was before it was detached to change its mode.
func (x *execution) reattach(ctx context.Context, name string) error {
	mode := x.links[name].Mode
	if mode == "" {
		return nil
	}
	x.done = x.done[:len(x.done)-1] // its detach
	back := reconcile.Step{Verb: reconcile.Attach, Why: reconcile.Changed, Interface: intent.Interface{Name: name, Mode: mode}}
	return reconcile.Execute(ctx, x.dp, []reconcile.Step{back})
}
