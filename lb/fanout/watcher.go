package fanout

import (
	"sync/atomic"

	"lbctl/lb"
)

// Watcher is one of an audience.
type Watcher struct {
	filter  lb.Filter
	leave   func(*Watcher) error
	samples chan lb.Sample
	lost    atomic.Uint64
	// wanted is how many samples Every has counted.
	wanted uint64
}

var _ lb.Monitor = (*Watcher)(nil)

// Samples implements lb.Monitor.
func (w *Watcher) Samples() <-chan lb.Sample { return w.samples }

// Lost implements lb.Monitor.
func (w *Watcher) Lost() uint64 { return w.lost.Load() }

// Close implements lb.Monitor.
func (w *Watcher) Close() error { return w.leave(w) }

// offer takes a sample, if it is wanted and there is room for it. Every counts what others have
// not counted yet.
func (w *Watcher) offer(s lb.Sample, every uint32) {
	if !w.filter.Wants(s) {
		return
	}
	left := max(w.filter.Every/max(every, 1), 1)
	if w.wanted++; (w.wanted-1)%uint64(left) != 0 {
		return
	}
	select {
	case w.samples <- s:
	default:
		w.lost.Add(1)
	}
}
