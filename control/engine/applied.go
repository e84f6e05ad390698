package engine

import (
	"sync"
	"time"

	"lbctl/control/reconcile"
)

// AppliedBounds are the upper bounds of the buckets of Durations, in seconds.
var AppliedBounds = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// Durations count by how long something took.
type Durations struct {
	Count uint64
	Sum   time.Duration
	// Within counts those that took at most as long as each bound.
	Within [len(AppliedBounds)]uint64
}

func (d *Durations) add(took time.Duration) {
	d.Count++
	d.Sum += took
	for n, bound := range AppliedBounds {
		if took.Seconds() <= bound {
			d.Within[n]++
		}
	}
}

// Applied counts what the datapath was brought to since the start: by changes, by a start, and by deadlines and links.
type Applied struct {
	// Done and Refused are the times from the comparison with the datapath to the stored revision.
	Done, Refused Durations
	// Steps counts the steps that were done, by verb. Each set or remove makes another table of a service.
	Steps map[reconcile.Verb]uint64
}

// applied is an Applied that is safe for concurrent use. The zero value is ready.
type applied struct {
	mu sync.Mutex
	Applied
}

// note counts one time, and what was done. A refusal's steps were taken back.
func (a *applied) note(took time.Duration, steps []reconcile.Step, done bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !done {
		a.Refused.add(took)
		return
	}
	a.Done.add(took)
	if a.Steps == nil {
		a.Steps = map[reconcile.Verb]uint64{}
	}
	for _, s := range steps {
		a.Steps[s.Verb]++
	}
}

// Applied returns what was counted until now.
func (e *Engine) Applied() Applied {
	e.applied.mu.Lock()
	defer e.applied.mu.Unlock()
	now := e.applied.Applied
	now.Steps = make(map[reconcile.Verb]uint64, 4)
	for _, verb := range []reconcile.Verb{reconcile.Set, reconcile.Remove, reconcile.Attach, reconcile.Detach} {
		now.Steps[verb] = e.applied.Steps[verb]
	}
	return now
}
