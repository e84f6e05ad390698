package clitest

import "time"

// Steps returns a clock that stands still but for what is waited for; meanwhile something happens.
func Steps(meanwhile func()) (now func() time.Time, after func(time.Duration) <-chan time.Time) {
	at := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	return func() time.Time { return at }, func(d time.Duration) <-chan time.Time {
		at = at.Add(d)
		meanwhile()
		passed := make(chan time.Time, 1)
		passed <- at
		return passed
	}
}
