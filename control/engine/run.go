package engine

import (
	"context"
	"slices"
	"time"

	"lbctl/control/reconcile"
	"lbctl/control/store"
	"lbctl/lb"
)

const (
	// recheck is the longest wait for a deadline, since the clock may be set meanwhile, and the time between
	// two looks at the wanted interfaces.
	recheck = time.Second
	// retryAfter is the wait after a refusal of the datapath or the store.
	retryAfter = 10 * time.Second
)

// Run keeps the datapath at the effective state until ctx ends: it sets draining replicas down when their
// deadlines come, gives those that are starting more of their share, attaches wanted interfaces when they can be, and tries again
// what was refused. It is the reader of the datapath's events, and passes them on. It measures what is sent to replicas that drain.
func (e *Engine) Run(ctx context.Context) {
	var refused error
	network := e.dp.Events()
	for ctx.Err() == nil {
		due, stop := e.nextCheck(refused)
		steps, stopSteps := e.nextSteps()
		select {
		case <-ctx.Done():
		case <-e.changed:
		case <-due:
			refused = e.check(ctx)
		case <-steps:
			e.takeSteps(ctx)
		case what, open := <-network:
			if !open {
				network = nil
				break
			}
			if e.passOn(what) {
				refused = e.check(ctx)
			}
		}
		stop()
		stopSteps()
		e.measure()
		select { // a check's own change: the next wait knows it
		case <-e.changed:
		default:
		}
	}
}

// passOn publishes an event of the datapath, and tells whether it may concern a wanted interface.
func (e *Engine) passOn(what lb.Event) bool {
	now := e.now.Load()
	about := Event{Time: e.clock.Now(), Revision: now.Number, News: Network{what}}
	if what.Kind == lb.NextHopChanged {
		about.Services = having(now.Intent, what.Replica)
	}
	e.events.publish(about)
	_, wanted := now.Intent.Interface(what.Interface)
	return wanted || what.Kind == lb.LinkLost || what.Kind == lb.EventsLost
}

// nextCheck returns when to check again: never when there is nothing that could need it.
func (e *Engine) nextCheck(refused error) (<-chan time.Time, func()) {
	now := e.now.Load()
	wait := recheck
	deadline, found := now.Given.NextDeadline()
	if found {
		wait = min(deadline.Sub(e.clock.Now()), recheck)
	}
	if !found && len(now.Intent.Interfaces) == 0 && now.outOfSync == "" && len(now.draining) == 0 {
		return nil, func() {}
	}
	if refused != nil || now.outOfSync != "" {
		wait = max(wait, retryAfter)
	}
	return e.clock.After(wait)
}

// nextSteps returns when replicas that are starting take steps: never when there is none.
func (e *Engine) nextSteps() (<-chan time.Time, func()) {
	due := e.stepsDue()
	if due.IsZero() {
		return nil, func() {}
	}
	return e.clock.After(min(due.Sub(e.clock.Now()), recheck))
}

// check brings the datapath to the effective state, if that has changed by itself or the datapath is not in it.
// With an error the datapath is as it was.
func (e *Engine) check(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now.Load()
	deadline, found := now.Given.NextDeadline()
	due := found && !deadline.After(e.clock.Now())
	if !due && now.outOfSync == "" && !e.linksChanged(ctx, now) {
		return nil
	}
	_, err := e.install(ctx, []store.Revision{{Intent: now.Intent}}, mayBeMissing)
	if err != nil {
		e.log.Error("check deadlines and interfaces", "error", err)
		if e.now.Load().outOfSync == "" {
			e.fallOutOfSync(err.Error())
		}
	}
	return err
}

// linksChanged attaches what is wanted and missing, and tells whether an interface is attached now, or is
// missing for another reason than before.
func (e *Engine) linksChanged(ctx context.Context, now *Snapshot) bool {
	attached, err := e.dp.Interfaces()
	if err != nil {
		e.log.Error("check interfaces", "error", err)
		return false
	}
	changed := false
	for _, wanted := range now.Intent.Interfaces {
		n := slices.IndexFunc(attached, func(a lb.Interface) bool { return a.Name == wanted.Name })
		obstacle := now.obstacles[wanted.Name]
		if n >= 0 {
			changed = changed || obstacle != "" && reconcile.Fulfils(attached[n].Mode, wanted.Mode)
			continue
		}
		_, err := e.dp.Attach(ctx, wanted.Name, wanted.Mode)
		if err == nil && obstacle == "" {
			e.log.Warn("attached an interface again that had lost the program", "interface", wanted.Name)
			e.events.publish(Event{Time: e.clock.Now(), Revision: now.Number, News: InterfaceAttached{wanted.Name}})
		}
		changed = changed || err == nil || err.Error() != obstacle
	}
	return changed
}

// Clock tells the time, of which deadlines are made. It is safe for concurrent use.
type Clock interface {
	Now() time.Time
	// After returns a channel on which the time is sent once d has passed, and a function that stops the timer.
	After(d time.Duration) (passed <-chan time.Time, stop func())
}

// wallClock is the machine's.
type wallClock struct{}

// Now implements Clock.
func (wallClock) Now() time.Time { return time.Now() }

// After implements Clock.
func (wallClock) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}
