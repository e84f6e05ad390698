package engine

import (
	"context"
	"errors"

	"lbctl/control/intent"
	"lbctl/control/reconcile"
	"lbctl/control/store"
	"lbctl/lb"
)

// mayBeMissing lets every interface be missing.
func mayBeMissing(intent.Interface) bool { return true }

// install makes the datapath forward as the intent says, and stores it as a revision with the entry if
// it is new. Interfaces that may be missing and cannot be attached are left out. The caller holds mu.
func (e *Engine) install(ctx context.Context, next intent.Intent, entry store.Entry, may func(intent.Interface) bool) ([]reconcile.Step, error) {
	old := e.now.Load()
	before, err := reconcile.Current(e.dp)
	if err != nil {
		return nil, err
	}
	installed := false
	defer func() {
		if !installed { // also when the datapath panics
			e.rollBack(ctx, before, next.Datapath.Limits)
		}
	}()
	x := execution{dp: e.dp, may: may, links: linksOf(before)}
	x.remember(old, next)
	facts := e.facts(x.links)
	aim := stateOf(Effective(next, facts))
	if err := x.run(ctx, reconcile.Plan(before, aim, next.Datapath.Limits)); err != nil {
		return nil, err
	}
	// The obstacles that were met are among the facts by now.
	now := &Snapshot{Revision: old.Revision, Effective: Effective(next, facts), obstacles: x.links.obstacles(next)}
	if old.Number == 0 || !next.Equal(old.Intent) {
		entry.Time = e.clock.Now().UTC()
		now.Revision = store.Revision{Entry: entry, Intent: next}
		if now.Number, err = e.store.Append(ctx, old.Number, now.Revision); err != nil {
			return nil, err
		}
	}
	installed = true
	e.become(now)
	e.log.Info("installed", "revision", now.Number, "steps", len(x.done))
	return x.done, nil
}

// become makes a state the present one, and tells of it.
func (e *Engine) become(now *Snapshot) {
	old := e.now.Swap(now)
	e.tell(old, now)
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

// rollBack brings the datapath back to what it forwarded before a change.
func (e *Engine) rollBack(ctx context.Context, before reconcile.State, limits lb.Limits) {
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
	now.outOfSync = why
	e.become(&now)
}

func (e *Engine) facts(links Links) Facts {
	return Facts{Now: e.clock.Now(), Health: e.health, Links: links}
}

// stateOf returns an effective intent as the state that a datapath is brought to.
func stateOf(i intent.Intent) reconcile.State {
	return reconcile.State{Services: i.Forwarded(), Interfaces: i.Interfaces}
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
	may   func(intent.Interface) bool
	links Links
	done  []reconcile.Step
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

// run does the steps. An attach that may be refused, and is, becomes an obstacle and is left out. At any other
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
		if refused.Step.Verb != reconcile.Attach || !x.may(refused.Step.Interface) {
			return err
		}
		x.links.obstruct(refused.Step.Interface.Name, refused.Err.Error())
		if err := x.reattach(ctx, refused.Step.Interface.Name); err != nil {
			return err
		}
		steps = steps[refused.Done+1:]
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
