package wakeup

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"lbctl/testbed/helper"
	"lbctl/testbed/measure"
	"lbctl/testbed/netns"
)

// station is a server with its client and what else it has to do.
type station struct {
	Notice Notice
	// Rate is of how many other events there are a second, 0: it has no other client.
	Rate float64

	requests int // in a round
	// disk draws how long a request reads.
	disk    func(*rand.Rand) time.Duration
	random  *rand.Rand
	server  *helper.Process
	in      *netns.Namespace
	address string
	client  *net.TCPConn
	// lateness is that of its other events.
	lateness lateness
}

// lateness adds up by how much clocks went off late. Safe for concurrent use.
type lateness struct {
	mu  sync.Mutex
	sum time.Duration
	n   int
}

func (l *lateness) add(by time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sum, l.n = l.sum+by, l.n+1
}

// take returns the sum and of how many it is, and begins anew.
func (l *lateness) take() (sum time.Duration, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum, n, l.sum, l.n = l.sum, l.n, 0, 0
	return sum, n
}

// Answer is what became of one request.
type Answer struct {
	// Asked is when it was sent, Done when the worker had read, Sent when the loop answered, Got when the client had the
	// answer: on CLOCK_MONOTONIC, in nanoseconds.
	Asked, Done, Sent, Got int64
	// Cause is why the loop woke up then.
	Cause int64
	// Stimulus is when another client was sent for to wake the loop up, 0: none was needed.
	Stimulus int64
}

// Delay is how long the answer lay there.
func (a Answer) Delay() time.Duration { return time.Duration(a.Sent - a.Done) }

// patience is how long anything may take that takes milliseconds.
const patience = 20 * time.Second

// start starts the server and connects its client.
func (s *station) start(program string, in *netns.Namespace, port int, c serverConfig) (err error) {
	c.Notice, c.Port = s.Notice, port
	if s.Notice != Timeout {
		c.Timeout = 0
	}
	s.in, s.address = in, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	s.server, err = Helper().Start(program, in, fmt.Sprintf("server with notice by %s", s.Notice), c)
	return err
}

// connect waits until the server listens and connects a client.
func (s *station) connect() (err error) {
	if err := s.server.Await(helper.Ready); err != nil {
		return err
	}
	s.client, err = s.dial()
	return err
}

// end ends the server and its client.
func (s *station) end() error {
	if s.client != nil {
		_ = s.client.Close()
	}
	return s.server.End()
}

func (s *station) dial() (*net.TCPConn, error) { return s.in.Dial(s.address, patience) }

// ask sends a request.
func (s *station) ask(takes time.Duration) (Answer, error) {
	a := Answer{Asked: int64(measure.Monotonic())}
	_, err := s.client.Write(binary.NativeEndian.AppendUint64(nil, uint64(takes)))
	return a, err
}

// get waits for the answer until a time; an error that wraps os.ErrDeadlineExceeded says that there was none.
func (s *station) get(a *Answer, until time.Time) error {
	if err := s.client.SetReadDeadline(until); err != nil {
		return err
	}
	var b [answerWords * word]byte
	if n, err := io.ReadFull(s.client, b[:]); err != nil {
		if n > 0 {
			err = fmt.Errorf("half an answer: %d bytes", n)
		}
		return err
	}
	a.Got = int64(measure.Monotonic())
	for i, into := range []*int64{&a.Done, &a.Sent, &a.Cause} {
		*into = int64(binary.NativeEndian.Uint64(b[i*word:]))
	}
	return nil
}

// round makes the requests of a round, one after the other.
func (s *station) round(ctx context.Context) (all []Answer, err error) {
	for range s.requests {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		a, err := s.ask(s.disk(s.random))
		if err == nil {
			err = s.get(&a, time.Now().Add(patience))
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s server, %v other events a second: %w", s.Notice, s.Rate, err), s.server.Over())
		}
		all = append(all, a)
	}
	return all, nil
}

// again is the time between stimuli, of which one is enough unless the disk was slow.
const again = 100 * time.Millisecond

// silence makes one request and does nothing else until its read must be over, and for a time then. If it has no answer then, another client connects, which is
// an event.
func (s *station) silence(ctx context.Context, takes, silent time.Duration) (Answer, error) {
	a, err := s.ask(takes)
	if err != nil {
		return a, err
	}
	limit := takes + silent
	if s.Notice != None {
		limit = patience // it needs no event
	}
	err = s.get(&a, time.Now().Add(limit))
	for errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil && int64(measure.Monotonic())-a.Asked < int64(patience+silent) {
		if a.Stimulus == 0 {
			a.Stimulus = int64(measure.Monotonic())
		}
		var other *net.TCPConn
		if other, err = s.dial(); err != nil {
			return a, err
		}
		err = s.get(&a, time.Now().Add(again))
		_ = other.Close()
	}
	return a, errors.Join(ctx.Err(), err)
}

// disturb makes other events at random times (a Poisson process) until ctx ends.
func (s *station) disturb(ctx context.Context, random *rand.Rand) error {
	other, err := s.dial()
	if err != nil {
		return err
	}
	defer other.Close()
	var none [word]byte
	next := time.Now()
	for {
		next = next.Add(time.Duration(random.ExpFloat64() / s.Rate * float64(time.Second)))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(next)):
		}
		s.lateness.add(max(time.Since(next), 0))
		if _, err := other.Write(none[:]); err != nil {
			return fmt.Errorf("make other events: %w", err)
		}
	}
}
