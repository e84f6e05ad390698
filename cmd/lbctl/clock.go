package main

import "time"

// clock is how commands tell the time and wait. The zero value is the machine's.
type clock struct {
	now   func() time.Time
	after func(time.Duration) <-chan time.Time
}

// Now returns the time.
func (c clock) Now() time.Time {
	if c.now == nil {
		return time.Now()
	}
	return c.now()
}

// After returns a channel on which the time is sent once d has passed.
func (c clock) After(d time.Duration) <-chan time.Time {
	if c.after == nil {
		return time.After(d)
	}
	return c.after(d)
}
