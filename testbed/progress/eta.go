package progress

import (
	"fmt"
	"sync"
	"time"
)

// Plan is what is known of a run's time before it begins.
type Plan struct {
	// Name goes before each step: "3/14 copies: ". It may be empty.
	Name string
	// Expected is about how long the run takes, After what comes after it; 0 if that is not known.
	Expected, After time.Duration
}

// every is how often the time that is left is shown anew.
const every = time.Second

// WithETA returns progress that shows beside each step how much time is left, on a progress bar. End must be called.
func WithETA(inner Progress, p Plan, now func() time.Time) Progress {
	return &eta{inner: inner, plan: p, now: now}
}

// eta is progress with the time that is left.
type eta struct {
	inner Progress
	plan  Plan
	now   func() time.Time

	mu          sync.Mutex // guards what follows, and inner
	began       time.Time
	total, done int
	what        string
	stop        func()
}

// Begin implements Progress.
func (e *eta) Begin(total int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.total = total; e.stop == nil {
		e.began = e.now()
		e.stop = e.tick()
	}
	e.inner.Begin(total)
}

// tick shows the time again and again until stop is called.
func (e *eta) tick() (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for ticker := time.NewTicker(every); ; {
			select {
			case <-end:
				ticker.Stop()
				return
			case <-ticker.C:
				e.mu.Lock()
				e.show()
				e.mu.Unlock()
			}
		}
	}()
	return func() { close(end); <-ended }
}

// show tells inner the step and the time. The caller holds mu.
func (e *eta) show() { e.inner.Step(e.plan.Name + e.what + left(e.left())) }

// Step implements Progress.
func (e *eta) Step(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.what = what
	e.show()
}

// At implements Progress.
func (e *eta) At(done int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.done = done
	e.inner.At(done)
}

// End implements Progress.
func (e *eta) End() {
	e.mu.Lock()
	stop := e.stop
	e.stop = nil
	e.mu.Unlock()
	if stop != nil {
		stop()
	}
	e.inner.End()
}

// left is the time that is left: by the plan as long as that holds, then as much for each step as those that are done
// took. 0 if nothing is known. The caller holds mu.
func (e *eta) left() time.Duration {
	passed := e.now().Sub(e.began)
	share := min(float64(e.done)/float64(max(e.total, 1)), 1)
	switch {
	case passed < e.plan.Expected:
		return e.plan.Expected - passed + e.plan.After
	case share == 0:
		return e.plan.After
	}
	return time.Duration(float64(passed)*(1-share)/share) + e.plan.After
}

// left writes a time for a reader: ", 12 s left".
func left(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d < 100*time.Second:
		return fmt.Sprintf(", %.0f s left", max(d.Seconds(), 1))
	}
	return fmt.Sprintf(", %.0f min left", d.Minutes())
}
