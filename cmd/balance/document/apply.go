package document

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/steps"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/control/intent"
	"lbctl/control/rest"
	"lbctl/control/wire"
)

func applyCommand(a *cli.App, warn Warn) *cobra.Command {
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make a file the whole intent",
		Long: `Make a configuration file the daemon's whole intent: services that it does not name
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
			if *dry {
				return d.Plan(ctx, doc, *back...)
			}
			if !c.Flags().Changed("revision") {
				return d.Apply(ctx, doc, *back...)
			}
			return d.ApplyAt(ctx, doc, *revision, *back...)
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
not known, and interfaces count as attached where --from names them.`,
		Example: `  lbctl plan -f lb.yaml
  lbctl plan -f lb.yaml -o json
  lbctl plan -f new.yaml --offline --from lb.yaml     # no daemon: what the step from one file to the other moves`,
		Args: cli.Takes(),
	}
	file := fileFlag(c)
	offline := c.Flags().Bool("offline", false, "ask no daemon: plan from the configuration of --from")
	from := c.Flags().String("from", "", "with --offline, the file that is in effect; without it nothing is")
	back := takeBackFlag(c)
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if !*offline {
			if *from != "" {
				return cli.Usage(c, "--from without --offline")
			}
			return withFile(a, c, *file, *f, warn, func(ctx context.Context, d *client.Client, doc api.Config) (api.Change, error) {
				return d.Plan(ctx, doc, *back...)
			})
		}
		if len(*back) > 0 {
			return cli.Usage(c, "--take-back with --offline: no daemon is asked what was set by hand")
		}
		change, err := planOffline(a, c, *from, *file)
		if err != nil {
			return err
		}
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

// planOffline returns what a step from one file to another would do. Without the first nothing is there.
func planOffline(a *cli.App, c *cobra.Command, from, to string) (api.Change, error) {
	before := intent.Default()
	if from != "" {
		var err error
		if _, before, err = readFile(a, c, from); err != nil {
			return api.Change{}, err
		}
	}
	file, _, err := readFile(a, c, to)
	if err != nil {
		return api.Change{}, err
	}
	after, err := wire.Resolve(file.Config, before) // what it leaves out stays
	if err != nil {
		return api.Change{}, file.Locate(err)
	}
	return rest.PlanOf(before, after), nil
}
