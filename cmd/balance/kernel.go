package balance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/client"
	"lbctl/control/intent"
	"lbctl/control/safedir"
	"lbctl/lb"
	"lbctl/lb/checkpath"
	"lbctl/lb/datapath"
	"lbctl/lb/xdp"
)

// XDP is the kernel of this machine: its datapath is pinned in a directory that one daemon at a time may use (lb/xdp).
type XDP struct{}

// Check implements cli.Kernel.
func (XDP) Check() error { return xdp.RequireKernel() }

// Limits implements cli.Kernel.
func (XDP) Limits(dir string) (lb.Limits, bool, error) { return datapath.PinnedLimits(dir) }

// Open implements cli.Kernel.
func (XDP) Open(ctx context.Context, p cli.Pins, d intent.Datapath, services []lb.Service, log *slog.Logger) (lb.Dataplane, error) {
	if err := safedir.Private(p.Dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open pin directory: %w", err)
	}
	plane, err := datapath.Open(ctx, datapath.Options{
		Dir: p.Dir, Ephemeral: p.Ephemeral, Limits: d.Limits, Services: services, ToeplitzKey: d.ToeplitzKey, NoService: d.NoService, Logger: log,
	})
	if err != nil {
		return nil, err // not plane: a nil *Datapath would be no nil Dataplane
	}
	return plane, nil
}

// Purge implements cli.Kernel.
func (XDP) Purge(dir string) ([]string, error) {
	left, err := datapath.Purge(dir)
	if errors.Is(err, lb.ErrConflict) {
		return left, err // a daemon uses it, and sends checks
	}
	return left, errors.Join(err, checkpath.Sweep(dir))
}

// lastWords says what becomes of the traffic when the daemon ends.
func lastWords(d lb.Dataplane) string {
	c, err := d.Condition()
	switch {
	case err != nil:
		return fmt.Sprintf("stopped; it is not known whether traffic goes on being balanced: %v", err)
	case c.Ends != "":
		return "stopped; traffic is not balanced: " + c.Ends
	}
	return "stopped; traffic goes on being balanced"
}

// purged is the answer of purge; scripts rely on its names.
type purged struct {
	Purged string   `json:"purged"`
	Left   []string `json:"left,omitempty"` // what is not ours
}

func purgeCommand(a *cli.App) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "purge",
		Short: "Remove the datapath, and stop balancing traffic",
		Long: `Remove what the daemon has pinned: tables, programs, and their links to interfaces. Traffic
is no longer balanced. A running daemon must be stopped first. The stored intent is kept: the
next lbctl serve makes new tables. What else is in the directory is left.`,
		Example: `  lbctl purge
  lbctl purge --pin-dir /sys/fs/bpf/a`,
		Args: cli.Takes(),
	}
	pinDirFlag(a, c, &dir)
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := noDaemon(a, c); err != nil {
			return err
		}
		left, err := a.Kernel.Purge(dir)
		if errors.Is(err, lb.ErrNotFound) {
			return cli.Advise(err, "nothing is pinned there; name the --pin-dir that the daemon had")
		}
		if err != nil {
			return adviseServe(err, "stop the daemon that uses it")
		}
		return a.Print(*f, purged{dir, left}, func(w io.Writer) {
			if len(left) > 0 {
				fmt.Fprintf(w, "removed the datapath in %s, but not %s\n", dir, strings.Join(left, ", "))
				return
			}
			fmt.Fprintf(w, "removed %s\n", dir)
		})
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
