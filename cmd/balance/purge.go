package balance

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/client"
	"lbctl/lb"
)

// purged says what purge removed.
type purged struct {
	Purged string `json:"purged"`
}

func purgeCommand(a *cli.App) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "purge",
		Short: "Remove the datapath: traffic stops being balanced",
		Long: `Remove everything that is pinned: tables, programs, and their links to interfaces. Traffic
stops being balanced. Refused while a daemon runs. The stored intent is kept: the next lbctl
serve makes the tables anew.`,
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
