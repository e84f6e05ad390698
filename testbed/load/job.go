// Package load is the two ends of a benchmark's work: clients that send requests as fast as they are
// answered, and the servers that answer. Each is a process of its own in a namespace.
package load

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"lbctl/rss/packet"
	"lbctl/testbed/replica"
)

// Job is an order to clients.
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

// DefaultTimeout is that of a Job that names none.
const DefaultTimeout = 5 * time.Second

// enough is the number of failures after which a job ends.
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

// Result is the outcome of a job.
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

// Work is one kind of work.
type Work struct {
	// Name is what it is called in reports.
	Name string `json:"name"`
	// Protocol is TCP: HTTP requests for an object; or UDP: datagrams that are sent back.
	Protocol packet.Protocol `json:"protocol"`
	// Port is that of virtual address and replicas alike.
	Port uint16 `json:"port"`
	// Bytes is the size of what is answered.
	Bytes int `json:"bytes"`
	// Each is how many requests go over a connection before the next is opened; 0: all.
	Each int `json:"each"`
	// Share is the number of requests relative to that of HTTP with a connection for each: so that
	// every work takes about as long.
	Share float64 `json:"share"`
}

// Works returns all works.
func Works() []Work {
	return []Work{
		{Name: "connections", Protocol: packet.TCP, Port: 80, Bytes: 1 << 10, Each: 1, Share: 1},
		{Name: "packets", Protocol: packet.TCP, Port: 81, Bytes: 64, Share: 3},
		{Name: "transfer", Protocol: packet.TCP, Port: 82, Bytes: 120_000, Share: 0.8},
		{Name: "datagrams", Protocol: packet.UDP, Port: 83, Bytes: 64, Share: 8},
	}
}

// Summary says in a sentence what the work is.
func (w Work) Summary() string {
	switch {
	case w.Protocol == packet.UDP:
		return fmt.Sprintf("UDP datagrams of %d bytes, each sent back", w.Bytes)
	case w.Each == 1:
		return fmt.Sprintf("HTTP, a connection for each request, %d bytes answered", w.Bytes)
	}
	return fmt.Sprintf("HTTP over open connections, %d bytes answered", w.Bytes)
}

// Requests returns the work's number of requests, given the one that its Share is relative to.
func (w Work) Requests(of int) int { return max(int(float64(of)*w.Share), 1) }

// site is the one object that is asked for.
func (w Work) site() replica.Site {
	return replica.Site{Seed: uint64(w.Port), Objects: 1, MinSize: w.Bytes, MaxSize: w.Bytes}
}

// validate says what is wrong.
func (w Work) validate() error {
	if w.Protocol != packet.TCP && w.Protocol != packet.UDP {
		return fmt.Errorf("work %q: protocol %v: want tcp or udp", w.Name, w.Protocol)
	}
	if w.Bytes < 1 || w.Bytes > 1<<30 || w.Each < 0 || w.Port == 0 {
		return fmt.Errorf("work %q: %d bytes on port %d, %d on a connection: want at least 1 byte, a port, and no negative number", w.Name, w.Bytes, w.Port, w.Each)
	}
	if w.Protocol == packet.UDP && w.Bytes > maxDatagram {
		return errors.New("a datagram that large would be fragmented")
	}
	return nil
}

// maxDatagram is what fits into one Ethernet frame.
const maxDatagram = 1400
