package document

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/steps"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/control/intent"
	"lbctl/control/rest"
	"lbctl/control/store"
	"lbctl/lb"
)

func applyCommand(a *cli.App, warn Warn) *cobra.Command {
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make a file the whole intent",
		Long: `Make a configuration file the daemon's whole intent: services and pools that it does not name
are removed. Without a list of interfaces in the file, interfaces stay as they are. What was set by hand on
replicas (lbctl drain, down, weight) is kept and listed, unless --take-back has it taken back. An error
changes nothing.`,
		Example: `  lbctl apply -f lb.yaml
  lbctl apply -f lb.yaml --dry-run
  lbctl apply -f - <lb.yaml
  lbctl apply -f lb.yaml --take-back=web
  lbctl apply -f lb.yaml --revision 7    # only if nobody changed it since`,
		Args: cli.Takes(),
	}
	file := fileFlag(c)
	dry := dryFlag(c)
	back := takeBackFlag(c)
	revision := c.Flags().Uint64("revision", 0, "apply only if the intent is at this revision")
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withFile(a, c, *file, *f, warn, func(ctx context.Context, d *client.Client, doc api.Config) (api.Change, error) {
			now, at := d.Apply, d.ApplyAt
			if *dry {
				now, at = d.Plan, d.PlanAt
			}
			if !c.Flags().Changed("revision") {
				return now(ctx, doc, *back...)
			}
			return at(ctx, doc, *revision, *back...)
		})
	}
	return c
}

func dryFlag(c *cobra.Command) *bool {
	return c.Flags().Bool("dry-run", false, "print the steps, and change nothing")
}

// takeBackFlag adds the flag that takes back what was set by hand: of all services, or of those that it names.
func takeBackFlag(c *cobra.Command) *[]string {
	services := c.Flags().StringSlice("take-back", nil, "take back what was set by hand on replicas: of all services, or with =NAME of some")
	c.Flag("take-back").NoOptDefVal = "*"
	return services
}

func planCommand(a *cli.App, warn Warn) *cobra.Command {
	c := &cobra.Command{
		Use:   "plan -f FILE",
		Short: "Print what apply would do, in order",
		Long: `Print the steps of an apply, in order. For a service that exists it also prints what changes, the exact
share of the hash values, and so of new flows, that would go to another replica, and the number of
recorded flows that would end with their replica. With --offline no daemon is asked: the shares are as exact, the flows are
not known, and interfaces count as attached where --from names them. --state-dir does the same from the intent that a stopped
daemon has stored, with what was set by hand; nothing in the directory is changed.`,
		Example: `  lbctl plan -f lb.yaml
  lbctl plan -f lb.yaml -o json
  lbctl plan -f new.yaml --offline --from lb.yaml     # no daemon: what the step from one file to the other moves
  lbctl plan -f new.yaml --state-dir /var/lib/lbctl   # what the next lbctl serve -f new.yaml does`,
		Args: cli.Takes(),
	}
	file := fileFlag(c)
	var o offline
	c.Flags().BoolVar(&o.is, "offline", false, "ask no daemon: plan from the configuration of --from")
	c.Flags().StringVar(&o.from, "from", "", "with --offline, the file that is in effect; without it nothing is")
	c.Flags().StringVar(&o.dir, "state-dir", "", "ask no daemon: plan from the intent that is stored there")
	back := takeBackFlag(c)
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case o.from != "" && o.dir != "":
			return cli.Usage(c, "--from and --state-dir: want one of them")
		case o.from != "" && !o.is:
			return cli.Usage(c, "--from without --offline")
		case !o.is && o.dir == "":
			return withFile(a, c, *file, *f, warn, func(ctx context.Context, d *client.Client, doc api.Config) (api.Change, error) {
				return d.Plan(ctx, doc, *back...)
			})
		case len(*back) > 0 && o.dir == "":
			return cli.Usage(c, "--take-back with --offline: no daemon is asked what was set by hand")
		}
		before, number, err := o.before(a, c)
		if err != nil {
			return err
		}
		change, err := planOffline(a, c, before, *file, *back)
		if err != nil {
			return err
		}
		change.Revision = number
		return a.Print(*f, change, func(w io.Writer) { steps.Print(w, change) })
	}
	return c
}

// withFile reads a file, and asks the daemon for a change with it.
func withFile(a *cli.App, c *cobra.Command, name string, f cli.Format, warn Warn, ask func(context.Context, *client.Client, api.Config) (api.Change, error)) error {
	file, _, err := readFile(a, c, name)
	if err != nil {
		return err
	}
	return change(a, c.Context(), f, warn, func(ctx context.Context, d *client.Client) (api.Change, error) {
		done, err := ask(ctx, d, file.Config)
		return done, inFile(file, err)
	})
}

// planOffline returns what a step from one intent to a file would do.
func planOffline(a *cli.App, c *cobra.Command, before intent.Intent, to string, takeBack []string) (api.Change, error) {
	file, _, err := readFile(a, c, to)
	if err != nil {
		return api.Change{}, err
	}
	change, err := rest.PlanOf(before, file.Config, takeBack...) // what it leaves out stays
	var wrong *intent.Error
	if errors.As(err, &wrong) && wrong.Problems[0].Field == "query.take_back" {
		wrong.Problems[0].Field = "--take-back"
		return change, err
	}
	return change, file.Locate(err)
}

// offline is the state that a plan without a daemon begins from.
type offline struct {
	is        bool
	from, dir string
}

// before returns the intent of the file, or that which is stored in the directory; else nothing is there.
func (o offline) before(a *cli.App, c *cobra.Command) (i intent.Intent, number uint64, err error) {
	switch {
	case o.from != "":
		_, i, err = readFile(a, c, o.from)
		return i, 0, err
	case o.dir == "":
		return intent.Default(), 0, nil
	}
	stored, err := store.Read(o.dir)
	switch {
	case errors.Is(err, lb.ErrConflict):
		return i, 0, cli.Advise(err, "a daemon runs there: ask it, by lbctl plan -f FILE without --state-dir")
	case errors.Is(err, fs.ErrNotExist):
		return i, 0, cli.Advise(err, "name the directory that lbctl serve --state-dir had")
	case err == nil && stored.Number == 0:
		return i, 0, &cli.Failure{Code: cli.ExitNotFound, What: fmt.Sprintf("plan from %s: %v: no revision is stored there", o.dir, lb.ErrNotFound), Do: "name the directory that lbctl serve --state-dir had", Cause: lb.ErrNotFound}
	}
	return stored.Intent, stored.Number, err
}
