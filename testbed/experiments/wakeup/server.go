package wakeup

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/testbed/disk"
	"lbctl/testbed/helper"
	"lbctl/testbed/measure"
)

// Helper is the server: an event loop on epoll and a worker thread for each read from the disk.
func Helper() helper.Helper[serverConfig] {
	return helper.Helper[serverConfig]{Name: "wakeup-server", Run: func(_ context.Context, c serverConfig, _ io.Reader, stdout io.Writer) error {
		return serve(c, stdout)
	}}
}

// Notice is how the event loop learns that a worker is done.
type Notice string

// The notices: none, so that results are looked at when some event has come; the same, but epoll_wait returns after
// a time without one; an eventfd that the worker writes to; a pair of unix sockets, as the textbook has it.
const (
	None       Notice = "none"
	Timeout    Notice = "timeout"
	EventFD    Notice = "eventfd"
	SocketPair Notice = "socket pair"
)

type serverConfig struct {
	Notice Notice `json:"notice"`
	// Timeout is that of epoll_wait, 0: none.
	Timeout time.Duration `json:"timeout"`
	// Disk is the folder of the slow disk, File(d) its file that takes d to read.
	Disk string `json:"disk"`
	Port int    `json:"port"`
}

// Messages are numbers of 8 bytes. A request is one: for how long the disk is to be read, in nanoseconds; 0 is an
// event that needs no answer. An answer is three: when the worker had read, when the loop wrote the answer, both on
// CLOCK_MONOTONIC, and the cause of the loop's waking up.
const (
	word        = 8
	answerWords = 3
)

// The causes of the loop's waking up: an event of some client's socket, a worker's notice, the end of the timeout.
const (
	causeEvent = iota
	causeNotice
	causeTimeout
)

// server is the process. The loop owns all but results.
type server struct {
	serverConfig
	epoll, listener int
	// notify is what workers write to, noticed what the loop is woken by: -1 without.
	notify, noticed int

	mu      sync.Mutex
	results []result
}

// result is what a worker read.
type result struct {
	connection int
	done       int64
}

func serve(c serverConfig, stdout io.Writer) error {
	runtime.LockOSThread()
	s := &server{serverConfig: c, notify: -1, noticed: -1}
	if err := s.open(); err != nil {
		return err
	}
	fmt.Fprintln(stdout, helper.Ready)
	for {
		if err := s.turn(); err != nil {
			return err
		}
	}
}

func (s *server) open() (err error) {
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("make epoll: %w", err)
	}
	if s.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return fmt.Errorf("open socket: %w", err)
	}
	if err := errors.Join(unix.Bind(s.listener, &unix.SockaddrInet4{Port: s.Port}), unix.Listen(s.listener, unix.SOMAXCONN)); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	switch s.Notice {
	case EventFD:
		s.notify, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		s.noticed = s.notify
	case SocketPair:
		var pair [2]int
		pair, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		s.notify, s.noticed = pair[0], pair[1]
	}
	if err != nil {
		return fmt.Errorf("make %s: %w", s.Notice, err)
	}
	if s.noticed >= 0 {
		if err := s.watch(s.noticed); err != nil {
			return err
		}
	}
	return s.watch(s.listener)
}

func (s *server) watch(fd int) error {
	if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("watch descriptor: %w", err)
	}
	return nil
}

// turn waits for events, handles them, and then looks at the results.
func (s *server) turn() error {
	timeout := -1
	if s.Timeout > 0 {
		timeout = int(s.Timeout / time.Millisecond)
	}
	var events [64]unix.EpollEvent
	n, err := unix.EpollWait(s.epoll, events[:], timeout)
	if errors.Is(err, unix.EINTR) {
		return nil // a signal is no event
	}
	if err != nil {
		return fmt.Errorf("wait for events: %w", err)
	}
	cause := int64(causeTimeout)
	for _, e := range events[:n] {
		cause = causeEvent
		if int(e.Fd) == s.noticed {
			cause = causeNotice
		}
		if err := s.handle(int(e.Fd)); err != nil {
			return err
		}
	}
	return s.reply(cause)
}

func (s *server) handle(fd int) error {
	if fd == s.listener {
		connection, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		return errors.Join(unix.SetsockoptInt(connection, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), s.watch(connection))
	}
	var buffer [512 * word]byte
	n, err := unix.Read(fd, buffer[:])
	if n <= 0 {
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		return unix.Close(fd) // the client has gone, and with the descriptor its watch
	}
	if fd == s.noticed {
		return nil
	}
	for message := buffer[:n]; len(message) >= word; message = message[word:] {
		if takes := binary.NativeEndian.Uint64(message); takes > 0 {
			go s.work(fd, time.Duration(takes))
		}
	}
	return nil
}

// work is a worker: it blocks in read(2), on a thread of its own, which the runtime gives each blocked goroutine.
func (s *server) work(connection int, takes time.Duration) {
	if err := disk.Read(s.Disk + disk.File(takes)); err != nil {
		panic(err) // the process ends, and says why
	}
	s.mu.Lock()
	s.results = append(s.results, result{connection, int64(measure.Monotonic())})
	s.mu.Unlock()
	if s.notify >= 0 {
		// Where it is full the loop has notices enough.
		_, _ = unix.Write(s.notify, binary.NativeEndian.AppendUint64(nil, 1))
	}
}

// reply answers the requests of which the results are there.
func (s *server) reply(cause int64) error {
	s.mu.Lock()
	results := s.results
	s.results = nil
	s.mu.Unlock()
	for _, r := range results {
		var answer []byte
		for _, n := range []int64{r.done, int64(measure.Monotonic()), cause} {
			answer = binary.NativeEndian.AppendUint64(answer, uint64(n))
		}
		if _, err := unix.Write(r.connection, answer); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	return nil
}
