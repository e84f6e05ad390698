package acceptqueues

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/testbed/helper"
)

// Job is what the clients are told to do: connect, wait for the answer, close, again and again.
type Job struct {
	Target      netip.AddrPort
	Connections int
	// Clients is how many do so at a time.
	Clients int
	// Process and Threads are the server's. If there are threads, every connection waits until all of them sleep.
	Process int
	Threads []int
	// Hold makes the connections wait for no answer and stay open until the next job.
	Hold bool
}

// Report is what became of a job.
type Report struct {
	Took time.Duration
	// Answered, or with Hold only connected, and Failed are connections; Why is the first failure.
	Answered, Failed int
	Why              string
}

// Client is the clients as a helper process: a Job a line of standard input, a Report a line of standard output.
func Client() helper.Helper[struct{}] {
	return helper.Helper[struct{}]{Name: "accept-client", Run: func(ctx context.Context, _ struct{}, stdin io.Reader, stdout io.Writer) error {
		in, out := json.NewDecoder(stdin), json.NewEncoder(stdout)
		c := &clients{}
		for {
			var j Job
			if err := in.Decode(&j); err != nil {
				if errors.Is(err, io.EOF) {
					return nil
				}
				return fmt.Errorf("read job: %w", err)
			}
			if err := out.Encode(c.do(ctx, j)); err != nil {
				return err
			}
		}
	}}
}

// clients do one job after the other.
type clients struct {
	mu   sync.Mutex
	held []int
}

// do does a job.
func (c *clients) do(ctx context.Context, j Job) (r Report) {
	for _, fd := range c.held {
		_ = unix.Close(fd)
	}
	c.held = nil
	var next atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for range j.Clients {
		all.Go(func() {
			for ctx.Err() == nil && next.Add(1) <= int64(j.Connections) {
				err := errors.Join(j.calm(ctx), c.one(j))
				c.mu.Lock()
				if err == nil {
					r.Answered++
				} else if r.Failed++; r.Why == "" {
					r.Why = err.Error()
				}
				c.mu.Unlock()
			}
		})
	}
	all.Wait()
	r.Took = time.Since(start)
	return r
}

// one makes one connection. It is closed by a reset, which leaves nothing behind that a later connection could meet.
func (c *clients) one(j Job) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open socket: %w", err)
	}
	if err := connect(fd, j.Target); err != nil || !j.Hold {
		defer unix.Close(fd)
		if err != nil {
			return err
		}
		return wait(fd)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = append(c.held, fd)
	return nil
}

func connect(fd int, to netip.AddrPort) error {
	patience := unix.NsecToTimeval(int64(answerWithin))
	set := errors.Join(
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience),
	)
	if set != nil {
		return fmt.Errorf("set socket: %w", set)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// wait waits for the server's answer.
func wait(fd int) error {
	var said [1]byte
	for {
		n, err := unix.Read(fd, said[:])
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("wait for an answer: %w", err)
		case n != 1 || said[0] != answered:
			return errors.New("wait for an answer: it is wrong")
		default:
			return nil
		}
	}
}

// answerWithin is how long a client waits for an answer, and for the server's threads to sleep.
const answerWithin = 10 * time.Second

// calm waits until all threads sleep.
func (j Job) calm(ctx context.Context) error {
	for start := time.Now(); ctx.Err() == nil; {
		asleep := 0
		for _, t := range j.Threads {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", j.Process, t))
			if err != nil {
				return fmt.Errorf("look whether a thread sleeps: %w", err)
			}
			if _, rest, _ := strings.Cut(string(text), ") "); strings.HasPrefix(rest, "S") {
				asleep++
			}
		}
		if asleep == len(j.Threads) {
			return nil
		}
		if time.Since(start) > answerWithin {
			return errors.New("the server's threads do not sleep")
		}
	}
	return ctx.Err()
}
