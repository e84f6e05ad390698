package acceptqueues

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"lbctl/testbed/helper"
)

// Mode is how the threads of a server come to their connections.
type Mode string

// The modes. In all but the last, the threads share one listener.
const (
	// Blocking threads wait in accept(2).
	Blocking Mode = "blocking"
	// Herd and Exclusive threads wait in epoll_wait(2), each with an epoll instance of its own, in which the listener is,
	// without and with EPOLLEXCLUSIVE.
	Herd      Mode = "epoll"
	Exclusive Mode = "exclusive"
	// Own threads wait in accept(2), each for a listener of its own: SO_REUSEPORT.
	Own Mode = "reuseport"
)

func modes() []Mode { return []Mode{Blocking, Herd, Exclusive, Own} }

func (m Mode) polls() bool { return m == Herd || m == Exclusive }

// ServerConfig is a server: threads that accept connections by a mode.
type ServerConfig struct {
	Mode    Mode
	Threads int
	Address netip.AddrPort
	// Drain makes the threads accept nothing until they are told to, then everything that waits.
	Drain bool
}

// backlog is how many connections wait at most in a listener's queue.
const backlog = 2048

// Started is what a server says first: the numbers of its threads.
type Started struct{ Threads []int }

// Counts are what the threads of a server have done since its start.
type Counts struct {
	Accepted int64
	// Empty is how often a thread asked and there was no connection: accept4 returned EAGAIN.
	Empty int64
}

// Server is the server as a helper process. It says Started when all threads are there. To every line of standard input it
// answers with its Counts; a server that drains does so first, and answers with Drained.
func Server() helper.Helper[ServerConfig] {
	return helper.Helper[ServerConfig]{Name: "accept-server", Run: serve}
}

// worker is one thread of a server.
type worker struct {
	listener, thread int
	accepted, empty  atomic.Int64
	// orders are to drain; done is their answer.
	orders chan *start
	done   chan share
}

func serve(_ context.Context, c ServerConfig, stdin io.Reader, stdout io.Writer) error {
	// A thread that comes back from a system call finds a processor of the Go runtime at once: it never
	// waits for another thread, which would be a wake-up in which the kernel's accept had no part. And no collector stops
	// the threads: they allocate next to nothing.
	runtime.GOMAXPROCS(c.Threads + 2)
	debug.SetGCPercent(-1)
	workers := make([]worker, c.Threads)
	if err := listen(c, workers); err != nil {
		return err
	}
	failed := make(chan error, c.Threads+1)
	var started sync.WaitGroup
	for i := range workers {
		w := &workers[i]
		started.Add(1)
		go func() {
			runtime.LockOSThread()
			w.thread = unix.Gettid()
			started.Done()
			if c.Drain {
				failed <- w.drainOften(i)
			} else {
				failed <- w.run(c.Mode)
			}
		}()
	}
	started.Wait()
	threads := Started{}
	for i := range workers {
		threads.Threads = append(threads.Threads, workers[i].thread)
	}
	out := json.NewEncoder(stdout)
	if err := out.Encode(threads); err != nil {
		return err
	}
	go func() { failed <- obey(c, workers, stdin, out) }()
	return <-failed
}

// obey answers each line, to the end of the input.
func obey(c ServerConfig, workers []worker, stdin io.Reader, out *json.Encoder) error {
	for lines := bufio.NewScanner(stdin); lines.Scan(); {
		var answer any
		if c.Drain {
			answer = drain(workers)
		} else {
			answer = count(workers)
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
	return nil
}

func count(workers []worker) (c Counts) {
	for i := range workers {
		c.Accepted += workers[i].accepted.Load()
		c.Empty += workers[i].empty.Load()
	}
	return c
}

// listen gives every worker its listener: the same to all, or one to each.
func listen(c ServerConfig, workers []worker) (err error) {
	shared := -1
	for i := range workers {
		workers[i].orders, workers[i].done = make(chan *start), make(chan share)
		if shared >= 0 {
			workers[i].listener = shared
			continue
		}
		if workers[i].listener, err = open(c); err != nil {
			return err
		}
		if c.Mode != Own {
			shared = workers[i].listener
		}
	}
	return nil
}

// open opens a listener.
func open(c ServerConfig) (int, error) {
	kind := unix.SOCK_STREAM | unix.SOCK_CLOEXEC
	if c.Mode.polls() || c.Drain {
		kind |= unix.SOCK_NONBLOCK
	}
	fd, err := unix.Socket(unix.AF_INET, kind, 0)
	if err != nil {
		return -1, fmt.Errorf("open listener: %w", err)
	}
	set := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if c.Mode == Own {
		set = errors.Join(set, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	}
	err = errors.Join(set, unix.Bind(fd, &unix.SockaddrInet4{Port: int(c.Address.Port()), Addr: c.Address.Addr().As4()}), unix.Listen(fd, backlog))
	if err != nil {
		return -1, fmt.Errorf("listen at %v: %w", c.Address, err)
	}
	return fd, nil
}

// run accepts connections for ever.
func (w *worker) run(mode Mode) error {
	wait := func() error { return nil }
	if mode.polls() {
		var err error
		if wait, err = w.poll(mode); err != nil {
			return err
		}
	}
	for {
		if err := wait(); err != nil {
			return err
		}
		conn, _, err := unix.Accept4(w.listener, unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			w.empty.Add(1)
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
		case err != nil:
			return fmt.Errorf("accept: %w", err)
		default:
			w.accepted.Add(1)
			_, _ = unix.Write(conn, []byte{answered}) // the client may be gone
			_ = unix.Close(conn)
		}
	}
}

// answered is all that a server says to a client.
const answered = '!'

// poll returns a function that waits until the listener may have a connection.
func (w *worker) poll(mode Mode) (wait func() error, err error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make epoll: %w", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN}
	if mode == Exclusive {
		event.Events |= unix.EPOLLEXCLUSIVE
	}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, w.listener, &event); err != nil {
		return nil, fmt.Errorf("watch listener: %w", err)
	}
	events := make([]unix.EpollEvent, 1)
	return func() error {
		if _, err := unix.EpollWait(ep, events, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for connections: %w", err)
		}
		return nil
	}, nil
}
