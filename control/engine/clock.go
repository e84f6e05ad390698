package engine

import "time"

// Clock tells the time, of which deadlines are made. It is safe for concurrent use.
type Clock interface {
	Now() time.Time
	// After returns a channel on which the time is sent once d has passed, and what gives the
	// timer up before.
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
