package balance

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/control/config"
	"lbctl/control/intent"
	"lbctl/control/wire"
	"lbctl/lb"
)

func applyCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make a file the whole intent",
		Long: `Make a configuration file the daemon's whole intent: services that it does not name
are removed. Without a list of interfaces in the file, interfaces stay as they are. An error
changes nothing.`,
		Example: `  lbctl apply -f lb.yaml
  lbctl apply -f lb.yaml --dry-run
  lbctl apply -f - <lb.yaml
  lbctl apply -f lb.yaml --revision 7    # only if nobody changed it since`,
		Args: cli.Takes(),
	}
	file := fileFlag(c)
	dry := c.Flags().Bool("dry-run", false, "print the steps, and change nothing")
	revision := c.Flags().Uint64("revision", 0, "apply only if the intent is at this revision")
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withFile(a, c, *file, *f, func(d *client.Client, doc api.Config) (api.Change, error) {
			if *dry {
				return d.Plan(c.Context(), doc)
			}
			if !c.Flags().Changed("revision") {
				return d.Apply(c.Context(), doc)
			}
			return d.ApplyAt(c.Context(), doc, *revision)
		})
	}
	return c
}

func planCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "plan -f FILE",
		Short: "Print what apply would do, in order",
		Long: `Print the steps of an apply, in order. For a service that exists it also prints what changes, the exact
share of the hash values, and so of new flows, that would go to another replica, and the number of
recorded flows that would end with their replica.`,
		Example: `  lbctl plan -f lb.yaml
  lbctl plan -f lb.yaml -o json`,
		Args: cli.Takes(),
	}
	file := fileFlag(c)
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withFile(a, c, *file, *f, func(d *client.Client, doc api.Config) (api.Change, error) {
			return d.Plan(c.Context(), doc)
		})
	}
	return c
}

func fileFlag(c *cobra.Command) *string {
	return c.Flags().StringP("file", "f", "", "the configuration file, YAML; - is stdin")
}

// withFile reads a file, calls do with it, and prints the steps.
func withFile(a *cli.App, c *cobra.Command, name string, f cli.Format, do func(*client.Client, api.Config) (api.Change, error)) error {
	if name == "" {
		return cli.Usage(c, "missing -f FILE")
	}
	file, err := readFile(a, c.Context(), name)
	if err != nil {
		return err
	}
	d := client.New(a.Socket)
	defer d.Close()
	change, err := do(d, file.Config)
	if err != nil {
		return inFile(file, err)
	}
	return a.Print(f, change, func(w io.Writer) {
		printSteps(w, change)
		printWarnings(w, change.Warnings)
	})
}

// readFile reads a configuration file and checks what it can without the daemon.
func readFile(a *cli.App, ctx context.Context, name string) (*config.File, error) {
	file, err := config.Read(ctx, name, a.Stdin)
	if err != nil {
		return nil, err
	}
	// Only the daemon knows its limits; these are the largest possible.
	base := intent.Default()
	base.Datapath.Limits = lb.Limits{Services: 1 << 16, Replicas: 1 << 20, Slots: 1 << 27, Flows: 1 << 28}
	_, err = wire.Resolve(file.Config, base)
	return file, file.Locate(err)
}

// inFile adds to an error of the daemon the line and column of the field that it refuses.
func inFile(file *config.File, err error) error {
	var refused *client.Error
	if !errors.As(err, &refused) || len(refused.Problem.Errors) == 0 {
		return err
	}
	e := &intent.Error{}
	for _, f := range refused.Problem.Errors {
		field := strings.TrimPrefix(strings.TrimPrefix(f.Location, "body"), ".")
		hint := f.Hint
		if hint == "" {
			hint = refused.Hint()
		}
		e.Problems = append(e.Problems, lb.Problem{Field: field, Reason: f.Message, Hint: hint})
	}
	return file.Locate(e)
}
