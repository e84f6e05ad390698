package document

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/control/config"
)

// GetRevisions returns the command that lists the revisions of the intent.
func GetRevisions(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "revisions [NUMBER]",
		Short: "Print the revisions of the intent, or what it was at one",
		Long: `Print the revisions that are kept, the latest first: at least the last hundred. With NUMBER it prints the
configuration as it was then, as lbctl get config does.`,
		Example: `  lbctl get revisions
  lbctl get revisions --limit 5 -o json
  lbctl get revisions 7 >lb.yaml`,
		Args: cli.Takes("[NUMBER]"),
	}
	a.Complete(c, cli.Revisions)
	limit := c.Flags().Int("limit", 0, "print at most so many; 0: all")
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		d := client.New(a.Socket)
		defer d.Close()
		if len(args) == 1 {
			return printRevision(a, c, d, *f, args[0])
		}
		if *limit < 0 {
			return cli.Usage(c, "--limit: %d is less than 0", *limit)
		}
		all, err := d.Revisions(c.Context(), *limit)
		if err != nil {
			return err
		}
		return a.Print(*f, all, func(w io.Writer) { printRevisions(w, all) })
	}
	return c
}

func printRevisions(w io.Writer, all api.Revisions) {
	cli.Row(w, "REVISION", "TIME", "BY", "FOR")
	for _, r := range all.Revisions {
		when := ""
		if !r.Time.IsZero() {
			when = r.Time.Format(time.RFC3339)
		}
		cli.Row(w, r.Number, when, r.Actor, r.Reason)
	}
}

func printRevision(a *cli.App, c *cobra.Command, d *client.Client, f cli.Format, text string) error {
	number, err := revisionNumber(c, text)
	if err != nil {
		return err
	}
	r, err := d.Revision(c.Context(), number)
	if err != nil {
		return err
	}
	yaml, err := config.Write(r.Config)
	if err != nil {
		return err
	}
	return a.Print(f, r, func(w io.Writer) { fmt.Fprintf(w, "%s", yaml) })
}

func revisionNumber(c *cobra.Command, text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		return 0, cli.Usage(c, "%q is no revision: want a number from 1, as lbctl get revisions shows it", text)
	}
	return n, nil
}

func rollbackCommand(a *cli.App, warn Warn) *cobra.Command {
	c := &cobra.Command{
		Use:   "rollback REVISION",
		Short: "Make an earlier revision the intent again",
		Long: `Make the intent what it was at an earlier revision: services, replicas with their states, and interfaces. It is a
change as any other, and becomes a new revision. datapath stays as the daemon was started with.`,
		Example: `  lbctl get revisions
  lbctl rollback 7 --dry-run
  lbctl rollback 7`,
		Args: cli.Takes("REVISION"),
	}
	a.Complete(c, cli.Revisions)
	dry := dryFlag(c)
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		number, err := revisionNumber(c, args[0])
		if err != nil {
			return err
		}
		return change(a, c.Context(), *f, warn, func(ctx context.Context, d *client.Client) (api.Change, error) {
			return d.Rollback(ctx, number, *dry)
		})
	}
	return c
}
