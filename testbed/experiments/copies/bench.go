package copies

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"lbctl/testbed/measure"
	"lbctl/testbed/netns"
	"lbctl/testbed/xdp"
)

// line is a veth with a receiver at its end, and a source of frames at its other end.
type line struct {
	path   Path
	source *xdp.Source
	receiver
}

// newLine makes a line in a namespace.
func newLine(n *netns.Namespace, name string, p Path) (*line, error) {
	from, to, err := netns.Veth(netns.End{Namespace: n, Name: name + "-tx"}, netns.End{Namespace: n, Name: name + "-rx"}, 0)
	if err != nil {
		return nil, err
	}
	source, err := xdp.NewSource(from)
	if err != nil {
		return nil, err
	}
	r, err := newReceiver(p, to)
	if err != nil {
		return nil, errors.Join(err, source.Close())
	}
	return &line{path: p, source: source, receiver: r}, nil
}

// passed is what came over a line.
type passed struct {
	// Sent frames went in, Received came out, Damaged of them not as they were sent.
	Sent, Received, Damaged int
	// CPU is the time that it took the core to send, receive and hand them over.
	CPU time.Duration
}

// nanoseconds is the CPU time of a frame.
func (p passed) nanoseconds() float64 { return float64(p.CPU) / float64(max(p.Received, 1)) }

// late is how long the last frames may take.
const late = 2 * time.Second

// pass sends a number of frames over the line, a batch at a time, and takes each batch before the next one: nothing is
// lost and nobody waits. The calling goroutine is locked to a thread that stays on one core and is in the line's
// namespace. With check, each byte is compared.
func (l *line) pass(payload, frames int, check bool) (p passed, err error) {
	f := xdp.TestFrame(payload)
	handle := func(got []byte) {
		// The first bytes of a frame are looked at in any case, as a program that receives it would.
		if len(got) != len(f) || got[xdp.HeaderLength] != f[xdp.HeaderLength] || check && !bytes.Equal(got, f) {
			p.Damaged++
		}
	}
	began := newClock()
	for p.Sent < frames {
		sent, err := l.source.Send(f, xdp.LiveBatch)
		if err != nil {
			return p, err
		}
		p.Sent += sent
		got, err := l.take(handle)
		if err != nil {
			return p, err
		}
		p.Received += got
	}
	for end := time.Now().Add(late); p.Received < p.Sent && time.Now().Before(end); {
		if err := l.wait(); err != nil {
			return p, err
		}
		got, err := l.take(handle)
		if err != nil {
			return p, err
		}
		p.Received += got
	}
	p.CPU, err = began.passed()
	return p, err
}

// clock measures the work of a thread and of the softirqs on top of it. Where the kernel counts interrupts apart from
// threads, that is the time of day, which holds other work too.
type clock struct {
	began time.Time
	used  time.Duration
	err   error
}

func newClock() (c clock) {
	c.used, c.err = measure.ThreadTime()
	c.began = time.Now()
	return c
}

func (c clock) passed() (time.Duration, error) {
	if measure.InterruptsApart() {
		return time.Since(c.began), c.err
	}
	used, err := measure.ThreadTime()
	if err := errors.Join(c.err, err); err != nil {
		return 0, fmt.Errorf("measure frames: %w", err)
	}
	return used - c.used, nil
}
