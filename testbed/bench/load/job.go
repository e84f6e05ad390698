package load

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Job is what clients are told to do.
type Job struct {
	Work Work `json:"work"`
	// Targets are addresses: connection i goes to Targets[i mod len].
	Targets []netip.Addr `json:"targets"`
	// Requests is the number of requests, Concurrency how many are under way at a time.
	Requests    int `json:"requests"`
	Concurrency int `json:"concurrency"`
	// Timeout bounds each connect and each request; 0: DefaultTimeout.
	Timeout time.Duration `json:"timeout"`
}

// DefaultTimeout is the patience of a client.
const DefaultTimeout = 5 * time.Second

// enough is how many failures a job waits for: what goes on failing is not measured to its end.
const enough = 50

func (j Job) validate() error {
	if len(j.Targets) == 0 || j.Requests < 1 || j.Concurrency < 1 {
		return fmt.Errorf("%d targets, %d requests, %d at a time: want at least 1 each", len(j.Targets), j.Requests, j.Concurrency)
	}
	if j.Timeout < 0 {
		return errors.New("a timeout that is negative")
	}
	return j.Work.validate()
}

// Result is what came of a job.
type Result struct {
	// Requests were answered with the right bytes; Errors were not. Error is the first of them.
	Requests int    `json:"requests"`
	Errors   int    `json:"errors"`
	Error    string `json:"error,omitempty"`
	// Took is from the first request to the last answer.
	Took time.Duration `json:"took"`
	// P50 and P99 are the times from before the connect, where there is one for each request, to the last
	// byte of the answer that half, and 99 in 100, do not exceed.
	P50 time.Duration `json:"p50"`
	P99 time.Duration `json:"p99"`
}

// Rate is in answered requests a second.
func (r Result) Rate() float64 { return float64(r.Requests) / r.Took.Seconds() }
