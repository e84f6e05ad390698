// Package engine keeps a datapath forwarding as the operator intends, and says whether it does. It knows
// nothing of HTTP, YAML or BPF.
//
// The walk of a configuration file from YAML to tables: config reads the file into the wire types of api; the
// daemon (cmd/balance, or PUT /v1/config in rest) has wire resolve them into an intent; Engine.Change
// checks it beside what is there (intent), Effective derives what is to be forwarded now,
// reconcile.Plan orders the steps from what is forwarded, reconcile.Execute hands them to the
// lb.Dataplane, whose tables packets read; then store keeps the revision, and the change is answered.
package engine

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lbctl/control/intent"
	"lbctl/control/reconcile"
	"lbctl/control/store"
	"lbctl/lb"
)

// Options are what an engine is made of.
type Options struct {
	// Dataplane forwards. The engine does not close it.
	Dataplane lb.Dataplane
	// Store keeps the revisions. The engine does not close it.
	Store store.Store
	// Logger takes what happens; nil discards it.
	Logger *slog.Logger
	// Clock tells the time; nil stands for the machine's.
	Clock Clock
	// Source says where the intent comes from that Start is given, "" for the store.
	Source string
	// Actor is who gives it; "" stands for serve.
	Actor string
}

// Engine owns the intent, what follows from it, and the datapath's state. It is safe for concurrent
// use. The zero value is not usable: see Start.
type Engine struct {
	dp    lb.Dataplane
	store store.Store
	log   *slog.Logger
	clock Clock

	// requests are the changes that are asked for; who makes them has put a value into turn.
	requests requests
	turn     chan struct{}
	// mu is held by the one change that is under way.
	mu sync.Mutex
	// now is replaced as a whole: readers see the state before a change or after it.
	now atomic.Pointer[Snapshot]
	// health is what checks have found of the replicas of the intent, under mu. Snapshot has it for readers.
	health Healths
	// changed gets a value, unless it is full, after every change of now.
	changed chan struct{}
	events  hub
	epoch   uint64
	rates   rates
	applied applied
	// noStepsUntil is Run's: see takeSteps.
	noStepsUntil time.Time
}

// Snapshot is the state of an engine between two changes. It is not changed any more.
type Snapshot struct {
	// Revision is what is stored last.
	store.Revision
	// Wanted is the intent with what was set by hand over what is declared.
	Wanted intent.Intent
	// Given is Wanted at the time of the state: replicas whose drain deadline has come are down.
	Given intent.Intent
	// draining are those services of Given that have a replica that drains.
	draining []*intent.Service
	// Effective is what the datapath was last brought to: see Effective.
	Effective intent.Intent
	// forwarded tells that the datapath has the services of Effective and no others, so that it need not be asked. Who brings
	// it to something else, and is not sure of the outcome, says so here.
	forwarded bool
	health    Healths
	// nextStep is when a replica that is starting takes its next step at the earliest, the zero time for never.
	nextStep time.Time
	// obstacles are, by name, why wanted interfaces are not attached as wanted.
	obstacles map[string]string
	// outOfSync says why the datapath may not forward as it should, "" if it does.
	outOfSync string
}

// Start brings the datapath to an intent, which it stores if it differs from what is
// stored. With an error, also when ctx ends, the datapath and the store are as they were. Errors: *reconcile.StepError when
// the datapath refuses, and those of the store. Interfaces that cannot be attached are no error, nor are services
// that were stored before and cannot be set: they show in Status, and Run tries them again.
func Start(ctx context.Context, o Options, i intent.Intent) (*Engine, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = wallClock{}
	}
	e := &Engine{dp: o.Dataplane, store: o.Store, log: o.Logger, clock: o.Clock, changed: make(chan struct{}, 1), turn: make(chan struct{}, 1), epoch: uint64(time.Now().UnixMilli())}
	stored, err := o.Store.Latest(ctx)
	if err != nil {
		return nil, err
	}
	found, err := reconcile.Current(e.dp)
	if err != nil {
		return nil, err
	}
	e.health = inherited(stored.Intent.Wanted(), found.Services, e.clock.Now())
	before := &Snapshot{Revision: stored, Wanted: stored.Intent.Wanted(), Given: given(stored.Intent, e.clock.Now()), Effective: e.told(stored.Intent, found.Services), health: e.health}
	before.draining = before.drain(&Snapshot{})
	e.now.Store(before)
	if o.Actor == "" {
		o.Actor = "serve"
	}
	reason := "start"
	if o.Source != "" {
		reason = "start with " + o.Source
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	i = i.Keeping(i.Overrides).Sharing(stored.Intent)
	if _, err := e.install(ctx, []store.Revision{{Entry: store.Entry{Actor: o.Actor, Reason: reason}, Intent: i}}, mayBeMissing); err != nil {
		return nil, err
	}
	e.warnReactivated(stored.Intent.Wanted(), i.Wanted())
	return e, nil
}

// told returns the effective intent as far as the datapath has it: of what an earlier process has brought
// about, nothing is told again.
func (e *Engine) told(i intent.Intent, forwarded []*lb.Service) intent.Intent {
	effective, wanted := Effective(i, e.facts(nil, e.health)), i.Wanted()
	has := make(map[lb.VIP]*lb.Service, len(forwarded))
	for _, s := range forwarded {
		has[s.VIP] = s
	}
	effective.Services = slices.Clone(effective.Services)
	for n, s := range effective.Services {
		if was := has[s.VIP]; was == nil || !s.SameAs(*was) {
			effective.Services[n] = wanted.Services[n]
		}
	}
	return effective
}

// Now returns the present state.
func (e *Engine) Now() *Snapshot { return e.now.Load() }

// Time is that of the engine's clock.
func (e *Engine) Time() time.Time { return e.clock.Now() }

// Observer is the part of an lb.Dataplane that changes nothing.
type Observer interface {
	Counters() (lb.Counters, error)
	ReasonCounts() (lb.Counters, error)
	ReplicaCounts(of []lb.Service) ([][]lb.Count, error)
	FlowCounts(of []lb.Service) ([][]lb.FlowCount, error)
	Flows(of ...lb.VIP) (map[lb.VIP]lb.Flows, error)
	InTransition(lb.VIP) (uint32, error)
	FlowsOf(lb.VIP, netip.Addr) ([]lb.RecordedFlow, error)
	NextHops(of []lb.Service) ([][]lb.ReplicaHop, error)
	Interfaces() ([]lb.Interface, error)
	Condition() (lb.Condition, error)
	Explain(lb.Probe) (lb.Explanation, error)
	Monitor(lb.Filter) (lb.Monitor, error)
}

// Observe returns the datapath to look at: changes of it go through the engine.
func (e *Engine) Observe() Observer { return e.dp }

// warnReactivated warns of replicas that drained, or were down, and that another intent makes active again: what was
// declared by a request, and not set by hand, a file replaces, and its reader does not see that.
func (e *Engine) warnReactivated(before, now intent.Intent) {
	had := before.ByVIP()
	for _, s := range now.Services {
		was := had[s.VIP]
		for _, r := range s.Replicas {
			if state, had := was.State(r.Address); had && state != lb.Active && r.State == lb.Active {
				e.log.Warn("the file makes a replica active again", "service", s.Name, "replica", r.Address, "was", state)
			}
		}
	}
}
