package cli

import (
	"time"

	"lbctl/rss/observe"
	"lbctl/testbed/progress"
	"lbctl/testbed/report"
)

// watching shows how far an observation is.
type watching struct {
	progress progress.Progress
	started  time.Time
	duration time.Duration
	packets  uint64
}

// watchSteps is how finely progress is shown.
const watchSteps = 1000

// Watching begins to show an observation that lasts for a duration, or a number of packets, whichever
// ends first; 0 is no limit.
func (a *App) Watching(what string, duration time.Duration, packets uint64) *watching {
	w := &watching{
		progress: progress.New(a.Stderr, report.Terminal(a.Stderr)),
		started:  time.Now(), duration: duration, packets: packets,
	}
	w.progress.Begin(watchSteps)
	w.progress.Step(what)
	return w
}

// At shows where the observation is.
func (w *watching) At(t observe.Totals) {
	done := 0.0
	if w.duration > 0 {
		done = float64(time.Since(w.started)) / float64(w.duration)
	}
	if w.packets > 0 {
		done = max(done, float64(t.All())/float64(w.packets))
	}
	w.progress.At(min(int(done*watchSteps), watchSteps-1))
}

func (w *watching) End() { w.progress.End() }
