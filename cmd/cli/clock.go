package cli

import "time"

// Clock is how commands tell the time and wait. The zero value is the machine's.
type Clock struct {
	Time  func() time.Time
	Timer func(time.Duration) <-chan time.Time
}

// Now returns the time.
func (c Clock) Now() time.Time {
	if c.Time == nil {
		return time.Now()
	}
	return c.Time()
}

// After returns a channel on which the time is sent once d has passed.
func (c Clock) After(d time.Duration) <-chan time.Time {
	if c.Timer == nil {
		return time.After(d)
	}
	return c.Timer(d)
}
