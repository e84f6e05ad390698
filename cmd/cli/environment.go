package cli

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"lbctl/control/intent"
	"lbctl/lb"
)

// Environment is all that a command uses of the outside, except files.
type Environment struct {
	// Context ends at Ctrl-C or SIGTERM.
	Context context.Context
	Args    []string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Getenv  func(string) string
	Clock   Clock
	// Kernel is where packets are forwarded.
	Kernel Kernel
	// NICs are the network interfaces of this machine.
	NICs Interfaces
}

// Kernel opens and removes the datapath of the network namespace of the process.
type Kernel interface {
	// Check refuses a kernel that the datapath does not run on. It changes nothing. Errors: lb.ErrUnsupported.
	Check() error
	// Limits are those of the tables that are pinned in dir; known is false if there are none that this build can read.
	Limits(dir string) (l lb.Limits, known bool, err error)
	// Open takes over the datapath that is pinned, or makes it. services are what is to be forwarded, nil if that is not
	// known. Errors: those of datapath.Open.
	Open(ctx context.Context, p Pins, d intent.Datapath, services []lb.Service, log *slog.Logger) (lb.Dataplane, error)
	// Purge removes the datapath that is pinned in dir, and what sends checks; left names what else is in there. Errors: those of
	// datapath.Purge.
	Purge(dir string) (left []string, err error)
}

// Pins are where a datapath is pinned: in a directory, which may end with the mount namespace if Ephemeral.
type Pins struct {
	Dir       string
	Ephemeral bool
}

// System returns the environment of this process. The second Ctrl-C kills it.
func System(k Kernel) Environment {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return Environment{
		Context: ctx, Args: os.Args[1:], Getenv: os.Getenv, Kernel: k, NICs: RealInterfaces(),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
}

// Clock tells the time and waits. The zero value is the machine's clock.
type Clock struct {
	// Time and Timer replace time.Now and time.After where they are not nil.
	Time  func() time.Time
	Timer func(time.Duration) <-chan time.Time
}

// Now returns the time.
func (c Clock) Now() time.Time {
	if c.Time == nil {
		return time.Now()
	}
	return c.Time()
}

// After returns a channel on which the time is sent once d has passed.
func (c Clock) After(d time.Duration) <-chan time.Time {
	if c.Timer == nil {
		return time.After(d)
	}
	return c.Timer(d)
}
