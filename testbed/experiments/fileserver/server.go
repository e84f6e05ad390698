package fileserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"lbctl/testbed/helper"
)

// Reaping is how a server learns that its children have ended.
type Reaping string

// The ways of reaping: never; before each call of accept, as the textbook has it; in a handler of SIGCHLD; by the
// kernel, because SIGCHLD is ignored.
const (
	Never        Reaping = "never"
	BeforeAccept Reaping = "before accept"
	Handler      Reaping = "in a handler of SIGCHLD"
	Ignored      Reaping = "SIGCHLD ignored"
)

type serverConfig struct {
	// Serial makes the server handle one client after the other, by itself.
	Serial  bool    `json:"serial"`
	Reaping Reaping `json:"reaping"`
	// Forgets makes the parent forget to close a connection that a child has.
	Forgets bool `json:"forgets"`
	Port    int  `json:"port"`
	// Disk is the folder of the files.
	Disk string `json:"disk"`
}

// Helper is the file server: a process of one thread that does anything.
func Helper() helper.Helper[serverConfig] {
	return helper.Helper[serverConfig]{Name: "fileserver", Run: func(_ context.Context, c serverConfig, _ io.Reader, stdout io.Writer) error {
		return c.serve(stdout)
	}}
}

func (c serverConfig) serve(stdout io.Writer) error {
	runtime.LockOSThread()
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open socket: %w", err)
	}
	if err := errors.Join(unix.Bind(listener, &unix.SockaddrInet4{Port: c.Port}), unix.Listen(listener, unix.SOMAXCONN)); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	disk, err := unix.Open(c.Disk, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open disk: %w", err)
	}
	switch c.Reaping {
	case Handler:
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGCHLD)
		go func() {
			for range ended {
				reap()
			}
		}()
	case Ignored:
		signal.Ignore(syscall.SIGCHLD)
	}
	fmt.Fprintln(stdout, helper.Ready)
	b := &buffer{}
	for {
		if c.Reaping == BeforeAccept {
			reap()
		}
		if err := c.next(listener, disk, b); err != nil {
			return err
		}
	}
}

// next serves the next client.
func (c serverConfig) next(listener, disk int, b *buffer) error {
	connection, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	if c.Serial {
		if failed := inPeace(func() uintptr { return converse(connection, disk, b) }); failed != 0 {
			return errors.New("a conversation failed")
		}
	} else if _, failed := fork(listener, connection, disk, b); failed != 0 {
		return fmt.Errorf("fork: %w", failed)
	}
	if c.Forgets {
		return nil
	}
	return unix.Close(connection)
}

// inPeace runs f without signals: Go's runtime interrupts a thread that seems to compute for long, as one in a raw system
// call does.
func inPeace(f func() uintptr) uintptr {
	var before uint64
	setSignals(&everySignal, &before)
	defer setSignals(&before, nil)
	return f()
}

// reap takes the exit codes of all children that have ended.
func reap() {
	for {
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 || err != nil {
			return // no child, or none that has ended
		}
	}
}
