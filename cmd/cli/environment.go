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

// Environment is all that a command touches outside its own memory, files aside.
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

// Kernel opens and removes what forwards packets in the network namespace of the process.
type Kernel interface {
	// Open takes over what is pinned in dir, or makes it. Errors: those of datapath.Open;
	// lb.ErrConflict when another daemon has dir.
	Open(ctx context.Context, dir string, d intent.Datapath, log *slog.Logger) (lb.Dataplane, error)
	// Purge removes what is pinned in dir. Errors: lb.ErrConflict when a daemon has it.
	Purge(dir string) error
}

// System is the environment of a process. The second Ctrl-C kills it.
func System(k Kernel) Environment {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return Environment{
		Context: ctx, Args: os.Args[1:], Getenv: os.Getenv, Kernel: k, NICs: RealInterfaces(),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
}

// Clock is how commands tell the time and wait. The zero value is the machine's.
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
