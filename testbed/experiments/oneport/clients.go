package oneport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"lbctl/testbed/helper"
	"lbctl/testbed/measure"
	"lbctl/testbed/netns"
)

// Answer is what a client got.
type Answer struct {
	// Process is the number of the process that answered.
	Process int
	// Asked is when the client began, Answered when the server answered, Got when the client had it.
	Asked, Answered, Got time.Duration
}

// patience is how long anything may take that takes milliseconds.
const patience = 30 * time.Second

// site is where clients connect to.
type site struct {
	in      *netns.Namespace
	address string
}

// dial opens a connection.
func (s site) dial() (*net.TCPConn, error) { return s.in.Dial(s.address, patience) }

// get reads an answer.
func (a *Answer) get(c net.Conn) error {
	var b [answerSize]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	a.Got = measure.Monotonic()
	a.Process, a.Answered = int(binary.NativeEndian.Uint64(b[:])), time.Duration(binary.NativeEndian.Uint64(b[8:]))
	return nil
}

// pending are requests that were sent, of which some have been answered.
type pending struct {
	clients  []*net.TCPConn
	answers  []Answer
	failed   []error
	answered atomic.Int64
	readers  sync.WaitGroup
}

// send sends a request on each connection, some time after the one before. The connections are opened where next is
// asked for one.
func send(ctx context.Context, n int, gap func() time.Duration, next func(int) (*net.TCPConn, error)) (*pending, error) {
	p := &pending{answers: make([]Answer, n), failed: make([]error, n)}
	due := time.Now()
	for i := range n {
		due = due.Add(gap())
		select {
		case <-ctx.Done():
			return p, ctx.Err()
		case <-time.After(time.Until(due)):
		}
		p.answers[i].Asked = measure.Monotonic()
		c, err := next(i)
		if err != nil {
			return p, err
		}
		p.clients = append(p.clients, c)
		if _, err := c.Write([]byte{fast}); err != nil {
			return p, fmt.Errorf("send request: %w", err)
		}
		p.readers.Go(func() {
			p.failed[i] = p.answers[i].get(c)
			p.answered.Add(1)
		})
	}
	return p, nil
}

// wait waits for all answers.
func (p *pending) wait(ctx context.Context) ([]Answer, error) {
	defer context.AfterFunc(ctx, p.close)()
	for _, c := range p.clients {
		_ = c.SetReadDeadline(time.Now().Add(patience)) // which only a closed one refuses
	}
	p.readers.Wait()
	return p.answers, errors.Join(append(p.failed, ctx.Err())...)
}

func (p *pending) close() {
	for _, c := range p.clients {
		_ = c.Close()
	}
}

// settle waits until no more answers come: all server processes have nothing to do, and no answer has come since they were found so.
func (p *pending) settle(ctx context.Context, processes []int) error {
	return helper.AwaitIdle(ctx, patience, func() ([]int, error) { return processes, nil }, func() int { return int(p.answered.Load()) }, nil)
}
