package handshake

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"lbctl/testbed/helper"
	"lbctl/testbed/measure"
)

// Helper is a process that makes one system call for each line that it is told, and answers when it was made.
func Helper() helper.Helper[callerConfig] {
	return helper.Helper[callerConfig]{Name: "handshake-caller", Run: func(_ context.Context, c callerConfig, stdin io.Reader, stdout io.Writer) error {
		return call(c, stdin, stdout)
	}}
}

// callerConfig configures a caller.
type callerConfig struct {
	// Thread is the name of the thread that makes the calls, as the kernel's trace shows it.
	Thread string `json:"thread"`
}

// order is one system call that a caller makes.
type order struct {
	Call string `json:"call"`
	// At is the address of bind and connect; of socket only its family counts.
	At netip.AddrPort `json:"at"`
	// Backlog is that of listen.
	Backlog int `json:"backlog,omitempty"`
	// Nonblocking makes socket open a non-blocking one.
	Nonblocking bool `json:"nonblocking,omitempty"`
	// Option is a TCP option that socket sets, 0: none.
	Option int `json:"option,omitempty"`
}

// Call is a system call that was made.
type Call struct {
	Name string `json:"name"`
	// Error is what it returned, "" for success.
	Error string `json:"error"`
	// Began and Ended are when it was made and when it had returned, on CLOCK_MONOTONIC; BeganAt and EndedAt are the
	// same on the clock of the day.
	Began   time.Duration `json:"began"`
	Ended   time.Duration `json:"ended"`
	BeganAt time.Time     `json:"began_at"`
	EndedAt time.Time     `json:"ended_at"`
}

// caller is the process: the socket that it has, and one that it accepted.
type caller struct{ socket, accepted int }

// call makes the calls, all on one thread.
func call(c callerConfig, stdin io.Reader, stdout io.Writer) error {
	runtime.LockOSThread()
	name, err := unix.BytePtrFromString(c.Thread)
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(name)), 0, 0, 0); err != nil {
		return fmt.Errorf("name thread: %w", err)
	}
	fmt.Fprintln(stdout, helper.Ready)
	p, answers := &caller{socket: -1, accepted: -1}, json.NewEncoder(stdout)
	for lines := bufio.NewScanner(stdin); lines.Scan(); {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return fmt.Errorf("read order: %w", err)
		}
		done, err := p.do(o)
		if err != nil {
			return err
		}
		if err := answers.Encode(done); err != nil {
			return err
		}
	}
	return nil
}

// do makes one call. Its error is in the answer.
func (p *caller) do(o order) (Call, error) {
	act, err := p.prepare(o)
	if err != nil {
		return Call{}, err
	}
	c := Call{Name: o.Call}
	c.Began, c.BeganAt = now()
	failure := act()
	c.Ended, c.EndedAt = now()
	if failure != nil {
		c.Error = failure.Error()
	}
	return c, nil
}

// prepare returns what is nothing but the system call.
func (p *caller) prepare(o order) (act func() error, err error) {
	switch o.Call {
	case "socket":
		return func() error { return p.open(o) }, nil
	case "bind":
		return func() error { return unix.Bind(p.socket, sockaddr(o.At)) }, nil
	case "listen":
		return func() error { return unix.Listen(p.socket, o.Backlog) }, nil
	case "connect":
		return func() error { return unix.Connect(p.socket, sockaddr(o.At)) }, nil
	case "accept":
		return func() (err error) {
			p.accepted, _, err = unix.Accept4(p.socket, unix.SOCK_CLOEXEC)
			return err
		}, nil
	case "write":
		return func() error {
			_, err := unix.Write(p.socket, []byte{'x'})
			return err
		}, nil
	case "close":
		return p.close, nil
	}
	return nil, fmt.Errorf("unknown system call %q", o.Call)
}

// open opens the socket. Closed, it resets its connection: nothing of a scenario is left for the next.
func (p *caller) open(o order) (err error) {
	family, kind := unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC
	if o.At.Addr().Is6() {
		family = unix.AF_INET6
	}
	if o.Nonblocking {
		kind |= unix.SOCK_NONBLOCK
	}
	if p.socket, err = unix.Socket(family, kind, 0); err != nil {
		return err
	}
	if o.Option != 0 {
		if err := unix.SetsockoptInt(p.socket, unix.IPPROTO_TCP, o.Option, 1); err != nil {
			return err
		}
	}
	return unix.SetsockoptLinger(p.socket, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

func (p *caller) close() (err error) {
	for _, fd := range []*int{&p.accepted, &p.socket} {
		if *fd >= 0 {
			err = errors.Join(err, unix.Close(*fd))
		}
		*fd = -1
	}
	return err
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is6() {
		return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	}
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

// now reads the clock of traces and that of captures.
func now() (time.Duration, time.Time) { return measure.Monotonic(), time.Now().Round(0) }
