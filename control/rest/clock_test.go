package rest_test

import (
	"sync"
	"testing"
	"time"
)

// fakeClock stands still until it is advanced.
type fakeClock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[chan time.Time]time.Time
	// armed is sent to whenever a timer is made.
	armed chan time.Duration
}

var noon = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

func newClock() *fakeClock {
	return &fakeClock{now: noon, timers: map[chan time.Time]time.Time{}, armed: make(chan time.Duration, 100)}
}

// Now implements engine.Clock.
func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// After implements engine.Clock.
func (c *fakeClock) After(d time.Duration) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := make(chan time.Time, 1)
	c.timers[t] = c.now.Add(d)
	c.armed <- d
	return t, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.timers, t)
	}
}

// advance lets time pass, and what was set to go off by then.
func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for t, when := range c.timers {
		if !when.After(c.now) {
			t <- c.now
			delete(c.timers, t)
		}
	}
}

// set sets the time of day, which timers do not look at: they go off as late as they would have.
func (c *fakeClock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for t, when := range c.timers {
		c.timers[t] = now.Add(when.Sub(c.now))
	}
	c.now = now
}

// waitArmed waits until somebody waits for a time, and returns it.
func (c *fakeClock) waitArmed(t *testing.T) time.Duration {
	t.Helper()
	select {
	case d := <-c.armed:
		return d
	case <-time.After(time.Minute):
		t.Fatal("nobody waits for the clock")
		return 0
	}
}
