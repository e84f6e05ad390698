// Package fanout hands the samples of a datapath on to those who watch it, each by a filter of its own, and
// never waits for any of them.
package fanout

import (
	"slices"
	"sync"

	"lbctl/lb"
)

// Audience is those who watch one datapath. The zero value is nobody. It is safe for concurrent
// use.
type Audience struct {
	mu       sync.Mutex
	watchers []*Watcher
}

// Join adds a watcher. Its Close calls leave, which is to call Leave.
func (a *Audience) Join(f lb.Filter, leave func(*Watcher) error) *Watcher {
	f.Reasons, f.Every = slices.Clone(f.Reasons), max(f.Every, 1)
	w := &Watcher{filter: f, leave: leave, samples: make(chan lb.Sample, lb.SampleBuffer)}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watchers = append(a.watchers, w)
	return w
}

// Leave ends the stream of a watcher, and tells whether it was one of the audience.
func (a *Audience) Leave(w *Watcher) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := slices.Index(a.watchers, w)
	if at < 0 {
		return false
	}
	a.watchers = slices.Delete(a.watchers, at, at+1)
	close(w.samples)
	return true
}

// End ends the streams of all.
func (a *Audience) End() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.watchers {
		close(w.samples)
	}
	a.watchers = nil
}

// Empty tells whether nobody watches.
func (a *Audience) Empty() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.watchers) == 0
}

// Filter returns one that lets everything through that somebody wants. Only where one watches alone
// can its Every be more than 1: packets of one watcher may come in step with those of another.
func (a *Audience) Filter() lb.Filter {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.watchers) == 1 {
		return a.watchers[0].filter
	}
	f := lb.Filter{Every: 1}
	for n, w := range a.watchers {
		if n == 0 {
			f.Reasons, f.Service = slices.Clone(w.filter.Reasons), w.filter.Service
			continue
		}
		f.Reasons = either(f.Reasons, w.filter.Reasons)
		if f.Service != w.filter.Service {
			f.Service = lb.VIP{}
		}
	}
	return f
}

// either returns the reasons that are in one of two filters.
func either(a, b []lb.Reason) []lb.Reason {
	if len(a) == 0 || len(b) == 0 {
		return nil
	}
	return append(a, b...)
}

// Offer hands a sample to all who want it; of its like, one in so many is offered at all.
func (a *Audience) Offer(s lb.Sample, every uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.watchers {
		w.offer(s, every)
	}
}

// Lose tells all that samples have been lost before they could be offered.
func (a *Audience) Lose(samples uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.watchers {
		w.lost.Add(samples)
	}
}
