package balance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"lbctl/cmd/cli"
	"lbctl/control/client"
	"lbctl/control/intent"
	"lbctl/lb"
	"lbctl/lb/datapath"
)

// XDP is the kernel of this machine: its datapath is pinned in a directory that one daemon at a time may use.
type XDP struct{}

// Open implements cli.Kernel.
func (XDP) Open(ctx context.Context, dir string, d intent.Datapath, log *slog.Logger) (lb.Dataplane, error) {
	lock, err := lockPins(dir) // before anything is changed, if the directory exists
	if err != nil {
		return nil, err
	}
	plane, err := datapath.Open(ctx, datapath.Options{Dir: dir, Limits: d.Limits, ToeplitzKey: d.ToeplitzKey, Logger: log})
	if err != nil {
		lock.Close()
		return nil, err
	}
	if lock == nil {
		if lock, err = lockPins(dir); err != nil {
			plane.Close()
			return nil, err
		}
	}
	return &locked{Dataplane: plane, lock: lock}, nil
}

// Purge implements cli.Kernel.
func (XDP) Purge(dir string) error {
	lock, err := lockPins(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	return datapath.Purge(dir)
}

// locked is a datapath with the lock of its pin directory.
type locked struct {
	lb.Dataplane
	lock *os.File
}

// Close implements lb.Dataplane.
func (l *locked) Close() error { return errors.Join(l.Dataplane.Close(), l.lock.Close()) }

// lockPins locks a pin directory. The kernel releases the lock when the process ends. The file is nil if there is no
// such directory. Errors: lb.ErrConflict if another process has the lock, lb.ErrDenied.
func lockPins(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("open pin directory: %w: %w", lb.ErrDenied, err)
	case err != nil:
		return nil, fmt.Errorf("open pin directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, cli.Advise(fmt.Errorf("lock %s: %w: a daemon uses it (%w)", dir, lb.ErrConflict, err), "stop that daemon, or use another --pin-dir")
	}
	return f, nil
}

// purged is the answer of purge; scripts rely on its names.
type purged struct {
	Purged string `json:"purged"`
}

func purgeCommand(a *cli.App) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "purge",
		Short: "Remove the datapath, and stop balancing traffic",
		Long: `Remove everything that is pinned: tables, programs, and their links to interfaces. Traffic
is no longer balanced. A running daemon must be stopped first. The stored intent is kept: the
next lbctl serve makes new tables.`,
		Example: `  lbctl purge
  lbctl purge --pin-dir /sys/fs/bpf/a`,
		Args: cli.Takes(),
	}
	pinDirFlag(c, &dir)
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := noDaemon(a, c); err != nil {
			return err
		}
		if err := a.Kernel.Purge(dir); err != nil {
			return adviseServe(err, "stop the daemon that uses it")
		}
		return a.Print(*f, purged{dir}, func(w io.Writer) { fmt.Fprintf(w, "removed %s\n", dir) })
	}
	return c
}

// noDaemon returns an error if a daemon answers on the socket.
func noDaemon(a *cli.App, c *cobra.Command) error {
	d := client.New(a.Socket)
	defer d.Close()
	_, err := d.Ready(c.Context())
	var answered *client.Error
	switch {
	case errors.Is(err, client.ErrUnreachable):
		return nil
	case err == nil, errors.As(err, &answered):
		return cli.Advise(fmt.Errorf("purge: %w: a daemon runs on %s", lb.ErrConflict, a.Socket), "stop it first")
	}
	return err
}
