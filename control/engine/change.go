package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"lbctl/control/intent"
	"lbctl/control/reconcile"
	"lbctl/lb"
)

// Change is a change of the intent that somebody asks for.
type Change struct {
	// Match refuses a change of the intent as it is by an error that wraps ErrStale; nil allows every one.
	Match func(*Snapshot) error
	// Actor is who asks, Reason what for, Origin where from: they are kept with the revision.
	Actor, Reason, Origin string
	// Edit makes the next intent of the present one, or refuses.
	Edit func(intent.Intent) (intent.Intent, error)
	// Attach names an interface without which the change fails. "" is none. Interfaces that the change does
	// not add, and whose mode it leaves, may be missing.
	Attach string
}

// Plan is a change of the intent, done or not.
type Plan struct {
	Before, After intent.Intent
	// Steps are those of the datapath.
	Steps []reconcile.Step
	// Effects are what each step does to flows, of a change that is not done.
	Effects []*reconcile.Effect
}

// ErrStale: Match did not allow the present revision.
var ErrStale = errors.New("the intent has changed")

// Change changes the intent, the datapath and the store together, and returns the state then, with the revision that it made, and
// what was done. With an error nothing has changed, or Status says that the datapath is out of sync. Changes that wait for each
// other may be made together (group.go): Match and Edit run in the order in which they came, and may run twice.
// Errors: ErrStale; those of Edit; an *intent.Error when the next intent is not valid; lb.ErrConflict for
// other tables; *reconcile.StepError when the datapath refuses; those of the store.
//
// The order is datapath, then store, then answer. A crash before the store leaves a datapath ahead of
// the stored intent, of which nobody was told; the next start takes it back. What was answered is stored.
func (e *Engine) Change(ctx context.Context, c Change) (*Snapshot, Plan, error) {
	r := e.request(ctx, c)
	if r.panicked != "" {
		panic(r.panicked)
	}
	if r.now == nil {
		return nil, Plan{}, r.err
	}
	return r.now, r.plan, r.err
}

// mayMiss tells of which interfaces the change may leave an attach out that is refused.
func (c Change) mayMiss(old intent.Intent) func(intent.Interface) bool {
	return func(a intent.Interface) bool {
		had, wanted := old.Interface(a.Name)
		return wanted && had == a && a.Name != c.Attach
	}
}

// Plan returns what Change would do, and refuses what it would, as far as that is known without trying. It changes nothing.
func (e *Engine) Plan(c Change) (*Snapshot, Plan, error) {
	now, current, flows, err := e.settled()
	if err != nil {
		return nil, Plan{}, err
	}
	if c.Match != nil {
		if err := c.Match(now); err != nil {
			return nil, Plan{}, err
		}
	}
	next, err := e.edit(now.Intent, c)
	if err != nil {
		return nil, Plan{}, err
	}
	links, may := linksOf(current), c.mayMiss(now.Intent)
	for name, obstacle := range now.obstacles {
		if had, _ := now.Intent.Interface(name); wants(next, had) && may(had) {
			links.obstruct(name, obstacle)
		}
	}
	steps := reconcile.Plan(current, stateOf(Effective(next, e.facts(links, now.health))), next.Datapath.Limits)
	if err := e.mayAttach(steps, may); err != nil {
		return nil, Plan{}, err
	}
	return now, Plan{now.Intent, next, steps, reconcile.Effects(current, steps, flows)}, nil
}

// mayAttach returns the first refusal that the attaches of a plan would meet. An interface that the plan detaches before is there.
func (e *Engine) mayAttach(steps []reconcile.Step, may func(intent.Interface) bool) error {
	detached := map[string]bool{}
	for n, s := range steps {
		switch {
		case s.Verb == reconcile.Detach:
			detached[s.Interface.Name] = true
		case s.Verb == reconcile.Attach && !detached[s.Interface.Name] && !may(s.Interface):
			if err := e.dp.MayAttach(s.Interface.Name, s.Interface.Mode); err != nil {
				return &reconcile.StepError{Step: s, Done: n, Err: err}
			}
		}
	}
	return nil
}

// settled returns the state, and what the datapath has then: no change is under way.
func (e *Engine) settled() (now *Snapshot, current reconcile.State, flows map[lb.VIP]lb.Flows, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if current, err = reconcile.Current(e.dp); err == nil {
		flows, err = e.dp.Flows()
	}
	return e.now.Load(), current, flows, err
}

// edit returns the edited intent, valid, and possible in this network and without new tables.
func (e *Engine) edit(old intent.Intent, c Change) (intent.Intent, error) {
	next, err := c.Edit(old)
	if err != nil {
		return intent.Intent{}, err
	}
	if next, err = next.Linked(); err != nil {
		return intent.Intent{}, err
	}
	next = next.Keeping(next.Overrides).Sharing(old)
	next.Overrides = next.Overrides.Stamped(old.Overrides, c.Actor, e.clock.Now())
	if err := next.ValidateAfter(old); err != nil {
		return intent.Intent{}, err
	}
	if err := e.fits(old, next); err != nil {
		return intent.Intent{}, err
	}
	return next, sameTables(old.Datapath, next.Datapath)
}

// fits returns an *intent.Error if an intent has new replicas with addresses to which no packet can be sent. Those that
// were there before became so later, and are no reason to refuse a change: Status says it.
func (e *Engine) fits(old, next intent.Intent) error {
	type place struct{ service, replica int }
	var places []place
	var addresses []netip.Addr
	had := old.Lookup()
	for n, s := range next.Services {
		was := had(n, s.VIP)
		if was == s {
			continue
		}
		for k, r := range s.Replicas {
			if was == nil || was.Index(r.Address) < 0 {
				places, addresses = append(places, place{n, k}), append(addresses, r.Address.Addr())
			}
		}
	}
	if len(addresses) == 0 {
		return nil
	}
	unfit, err := e.dp.Unfit(addresses)
	if err != nil {
		return err
	}
	var all []lb.Problem
	for i, a := range addresses {
		if why, is := unfit[a]; is {
			all = append(all, lb.Problem{Field: fmt.Sprintf("services[%d].replicas[%d].address", places[i].service, places[i].replica),
				Hint: "want the address of another host, or of another network namespace", Reason: fmt.Sprintf("%v is %s", a, why)})
		}
	}
	return next.Problems(all)
}

// tablesError refuses a change of what is fixed when the daemon starts.
type tablesError struct{ what, meanwhile string }

func (e *tablesError) Error() string {
	return fmt.Sprintf("%s: %v: fixed when the daemon started", e.what, lb.ErrConflict)
}

func (e *tablesError) Hint() string {
	return "leave it out; or stop the daemon and start it with this file: " + e.meanwhile
}

func (e *tablesError) Unwrap() error { return lb.ErrConflict }

func sameTables(old, next intent.Datapath) error {
	switch {
	case old.Limits != next.Limits:
		return &tablesError{"datapath.limits", "traffic goes on meanwhile"}
	case old.NoService != next.NoService:
		return &tablesError{"datapath.vip_no_service", "traffic goes on meanwhile"}
	case !old.Equal(next):
		return &tablesError{"datapath.toeplitz_key", "traffic goes on meanwhile, but flows that are hashed by it move"}
	}
	return nil
}
