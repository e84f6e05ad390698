package engine

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"lbctl/control/intent"
	"lbctl/control/reconcile"
	"lbctl/control/store"
	"lbctl/lb"
)

// Changes that are asked for while one is under way wait, and are made together by the first that gets its turn. Each is decided
// on what those before it leave, and refused or not, as if they came one after the other. The datapath is brought to what the last
// one leaves by one plan, and the revisions of all are stored by one append. If that is refused, each is made by itself, so that
// a change fails for its own sake alone.

// request is a change that is asked for, and what became of it.
type request struct {
	Change
	// answered is closed when the rest is set.
	answered chan struct{}
	now      *Snapshot
	plan     Plan
	err      error
	// panicked is with what Match or Edit did, "" if they did not.
	panicked string
}

func (r *request) isAnswered() bool {
	select {
	case <-r.answered:
		return true
	default:
		return false
	}
}

// requests are those that wait. The zero value is none.
type requests struct {
	mu      sync.Mutex
	waiting []*request
}

func (q *requests) add(r *request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, r)
}

// all returns those that wait, in the order in which they came.
func (q *requests) all() []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.waiting)
}

// remove takes one out, if it is still in.
func (q *requests) remove(r *request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := slices.Index(q.waiting, r); n >= 0 {
		q.waiting = slices.Delete(q.waiting, n, n+1)
	}
}

// request has a change made, by this call or by that of another that waits as well.
func (e *Engine) request(ctx context.Context, c Change) *request {
	r := &request{Change: c, answered: make(chan struct{})}
	e.requests.add(r)
	defer e.requests.remove(r) // also when the datapath panics: the others are made by the next of them
	select {
	case <-r.answered:
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
		if !r.isAnswered() {
			e.answerAll(ctx)
		}
	}
	return r
}

// answerAll makes the changes that wait.
func (e *Engine) answerAll(ctx context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.together(ctx, e.requests.all())
}

// answer lets the caller of a request go.
func (e *Engine) answer(r *request) {
	e.requests.remove(r)
	close(r.answered)
}

// together makes changes as if they came one after the other. The caller holds mu.
func (e *Engine) together(ctx context.Context, group []*request) {
	old := e.now.Load()
	tip, decided := *old, []*request(nil)
	for _, r := range group {
		next, err := e.decide(r, &tip)
		if err != nil {
			r.err = err
			e.answer(r)
			continue
		}
		r.plan = Plan{Before: tip.Intent, After: next}
		if tip.Number == 0 || !next.Equal(tip.Intent) {
			tip.Entry = store.Entry{Number: tip.Number + 1, Actor: r.Actor, Reason: r.Reason, Origin: r.Origin, Time: e.clock.Now().UTC()}
		}
		tip.Intent = next
		state := tip
		r.now, decided = &state, append(decided, r)
	}
	if len(decided) > 0 {
		e.make(ctx, decided, old)
	}
}

// decide returns the intent that a change makes of that of a state, or refuses.
func (e *Engine) decide(r *request, on *Snapshot) (next intent.Intent, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
			err = lb.ErrInvalid // of no matter: the caller panics
		}
	}()
	if r.Match != nil {
		if err := r.Match(on); err != nil {
			return intent.Intent{}, err
		}
	}
	return e.edit(on.Intent, r.Change)
}

// make makes changes that are decided, and answers them.
func (e *Engine) make(ctx context.Context, decided []*request, old *Snapshot) {
	var revisions []store.Revision
	for _, r := range decided {
		revisions = append(revisions, store.Revision{Entry: store.Entry{Actor: r.Actor, Reason: r.Reason, Origin: r.Origin, Time: r.now.Time}, Intent: r.plan.After})
	}
	may := func(a intent.Interface) bool {
		return !slices.ContainsFunc(decided, func(r *request) bool { return !r.mayMiss(r.plan.Before)(a) })
	}
	// A client that hangs up does not leave the change half done.
	steps, err := e.install(context.WithoutCancel(ctx), revisions, may)
	if err != nil && len(decided) > 1 {
		for _, r := range decided {
			e.together(ctx, []*request{r})
		}
		return
	}
	for _, r := range decided {
		state := *e.now.Load()
		if err == nil {
			state.Revision = r.now.Revision // that is the change's own
		}
		r.now, r.err, r.plan.Steps = &state, err, steps
		if len(decided) > 1 {
			r.plan.Steps = r.plan.own(steps)
		}
		e.answer(r)
	}
}

// own returns those steps that are about what the plan changes.
func (p Plan) own(steps []reconcile.Step) (all []reconcile.Step) {
	concerned := map[lb.VIP]bool{}
	for was, is := range intent.Changed(p.Before.Wanted().Services, p.After.Wanted().Services) {
		for _, s := range []*intent.Service{was, is} {
			if s != nil {
				concerned[s.VIP] = true
			}
		}
	}
	for _, s := range steps {
		was, had := p.Before.Interface(s.Interface.Name)
		is, has := p.After.Interface(s.Interface.Name)
		if concerned[s.Service.VIP] || had != has || was != is {
			all = append(all, s)
		}
	}
	return all
}
