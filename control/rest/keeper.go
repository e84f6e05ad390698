package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"lbctl/control/intent"
	"lbctl/control/reconcile"
	"lbctl/control/store"
	"lbctl/lb"
)

// keeper owns the intent: it changes datapath and store together.
//
// The order is datapath, then store, then answer. A crash before the store leaves
// a datapath ahead of the stored intent, which nobody was told of; the next start brings it
// back. What was answered is stored.
type keeper struct {
	dp    lb.Dataplane
	store store.Store
	log   *slog.Logger
	clock Clock

	// mu is held by the one change that is under way.
	mu sync.Mutex
	// now is the stored record; readers see the old one or the new one.
	now atomic.Pointer[store.Revision]
	// astray is true from a rollback that failed until a change that succeeds:
	// the datapath may not be as intended.
	astray atomic.Bool
	// changed is sent to, unless it is full, after every change of the intent.
	changed chan struct{}
}

// edit makes the next intent of the present one, or refuses.
type edit func(intent.Intent) (intent.Intent, error)

// errStale is a precondition that no longer holds.
var errStale = errors.New("the intent has changed")

// change edits the intent, if match allows, and returns the new record and what was done.
// With an error nothing is changed.
func (k *keeper) change(ctx context.Context, match matcher, e edit) (store.Revision, planned, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.now.Load()
	if !match.allows(old.Number) {
		return store.Revision{}, planned{}, fmt.Errorf("%w: it is at revision %d", errStale, old.Number)
	}
	next, err := k.next(old.Intent, e)
	if err != nil {
		return store.Revision{}, planned{}, err
	}
	// A client that hangs up does not leave the change half done.
	steps, err := k.install(context.WithoutCancel(ctx), next)
	return *k.now.Load(), planned{before: old.Intent, after: next, steps: steps}, err
}

// next is the edited intent as it is now, valid and possible without new tables.
func (k *keeper) next(old intent.Intent, e edit) (intent.Intent, error) {
	next, err := e(old)
	if err != nil {
		return intent.Intent{}, err
	}
	next = next.At(k.clock.Now())
	if err := next.ValidateAfter(old); err != nil {
		return intent.Intent{}, err
	}
	return next, sameTables(old.Datapath, next.Datapath)
}

// install makes the datapath forward as the intent says, and stores it under a new
// revision if it is new. The caller holds mu, or nobody else has k.
func (k *keeper) install(ctx context.Context, next intent.Intent) (steps []reconcile.Step, err error) {
	old := k.now.Load()
	before, err := reconcile.Current(k.dp)
	if err != nil {
		return nil, err
	}
	steps = reconcile.Plan(before, stateOf(next), next.Datapath.Limits)
	installed := false
	defer func() {
		if !installed { // also when the datapath panics
			k.rollBack(ctx, before, next.Datapath.Limits)
		}
	}()
	if err := reconcile.Execute(ctx, k.dp, steps); err != nil {
		return nil, err
	}
	record := store.Revision{Entry: old.Entry, Intent: next}
	if old.Number == 0 || !next.Equal(old.Intent) {
		record.Entry = store.Entry{Actor: "api", Time: k.clock.Now().UTC()}
		if record.Number, err = k.store.Append(ctx, old.Number, record); err != nil {
			return nil, err
		}
	}
	installed = true
	k.now.Store(&record)
	k.astray.Store(false)
	select {
	case k.changed <- struct{}{}:
	default:
	}
	k.log.Info("installed", "revision", record.Number, "steps", len(steps))
	return steps, nil
}

// stateOf returns what the datapath is to forward.
func stateOf(i intent.Intent) reconcile.State {
	return reconcile.State{Services: i.Forwarded(), Interfaces: i.Interfaces}
}

// rollBack brings the datapath back to what it forwarded before a change.
func (k *keeper) rollBack(ctx context.Context, before reconcile.State, limits lb.Limits) {
	current, err := reconcile.Current(k.dp)
	if err == nil {
		err = reconcile.Execute(ctx, k.dp, reconcile.Plan(current, before, limits))
	}
	if err != nil {
		k.astray.Store(true)
		k.log.Error("roll back", "error", err)
	}
}

// tablesError refuses a change of what is fixed when the tables are made.
type tablesError struct{ what string }

func (e *tablesError) Error() string {
	return fmt.Sprintf("%s: %v: fixed when the tables were made", e.what, lb.ErrConflict)
}

func (e *tablesError) Hint() string {
	return "leave it out; or stop the daemon, lbctl purge, and start it with this file (traffic stops meanwhile)"
}

func (e *tablesError) Unwrap() error { return lb.ErrConflict }

func sameTables(old, next intent.Datapath) error {
	switch {
	case old.Limits != next.Limits:
		return &tablesError{"datapath.limits"}
	case !old.Equal(next):
		return &tablesError{"datapath.toeplitz_key"}
	}
	return nil
}
