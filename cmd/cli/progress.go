package cli

import (
	"time"

	"lbctl/rss/observe"
	"lbctl/testbed/progress"
	"lbctl/testbed/report"
)

// Progress returns a bar on stderr if that is a terminal, else a line for each step.
func (a *App) Progress() progress.Progress { return progress.New(a.Stderr, report.Terminal(a.Stderr)) }

// ProgressLines returns a line for each step, also on a terminal.
func (a *App) ProgressLines() progress.Progress { return progress.New(a.Stderr, false) }

// ProgressBar returns a bar on stderr if that is a terminal, else nothing.
func (a *App) ProgressBar() progress.Progress {
	if report.Terminal(a.Stderr) {
		return progress.New(a.Stderr, true)
	}
	return progress.Silent{}
}

// Observation shows how far an observation of packets is.
type Observation struct {
	progress.Progress
	started  time.Time
	duration time.Duration
	packets  uint64
}

// observationSteps is how finely it is shown.
const observationSteps = 1000

// Observation begins to show an observation that lasts for a duration, or a number of packets, whichever
// ends first; 0 is no limit.
func (a *App) Observation(what string, duration time.Duration, packets uint64) *Observation {
	o := &Observation{Progress: a.Progress(), started: time.Now(), duration: duration, packets: packets}
	o.Begin(observationSteps)
	o.Step(what)
	return o
}

// Saw shows where the observation is.
func (o *Observation) Saw(t observe.Totals) {
	done := 0.0
	if o.duration > 0 {
		done = float64(time.Since(o.started)) / float64(o.duration)
	}
	if o.packets > 0 {
		done = max(done, float64(t.All())/float64(o.packets))
	}
	o.At(min(int(done*observationSteps), observationSteps-1))
}
