package document

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/cmd/cli/show"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/control/config"
)

// GetRevisions returns the command that lists the revisions of the intent.
func GetRevisions(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:     "revisions [NUMBER]",
		Aliases: []string{"revision"},
		Short:   "Print the revisions of the intent, or what it was at one",
		Long: `Print the revisions that are kept, the latest first: at least the last hundred. With NUMBER it prints the
configuration as it was then, as lbctl get config does, below comments that say who made it, and what it changed of the revision before.`,
		Example: `  lbctl get revisions
  lbctl get revisions --limit 5 -o json
  lbctl get revisions 7 >lb.yaml`,
		Args: cli.Takes("[NUMBER]"),
	}
	a.Complete(c, cli.Revisions)
	limit := c.Flags().Int("limit", 0, "print at most so many; 0: all")
	f := show.TableFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if *limit < 0 {
			return cli.Usage(c, "--limit: %d is less than 0", *limit)
		}
		d := a.Client()
		defer d.Close()
		if len(args) == 1 {
			return printRevision(a, c, d, f, args[0])
		}
		return f.Run(a, c, func(ctx context.Context) (show.Answer, error) {
			all, err := d.Revisions(ctx, *limit)
			return show.Answer{Value: all, Tables: []show.Table{revisionTable(all)}}, err
		})
	}
	return c
}

func revisionTable(all api.Revisions) show.Table {
	t := show.Table{Columns: []string{"REVISION", "TIME", "BY", "FOR", "FROM"}, Narrow: 4}
	for _, r := range all.Revisions {
		when := ""
		if !r.Time.IsZero() {
			when = r.Time.Format(time.RFC3339)
		}
		t.Add(fmt.Sprintf("revision/%d", r.Number), r.Number, when, r.Actor, r.Reason, r.Origin)
	}
	return t
}

// printRevision prints what the intent was: in place of a table, as YAML.
func printRevision(a *cli.App, c *cobra.Command, d *client.Client, f *show.Flags, text string) error {
	number, err := revisionNumber(c, text)
	if err != nil {
		return err
	}
	if f.Format == cli.FormatTable || f.Wide() {
		f.Format = cli.FormatYAML
	}
	return f.Run(a, c, func(ctx context.Context) (show.Answer, error) {
		r, err := d.Revision(ctx, number)
		if err != nil {
			return show.Answer{}, err
		}
		yaml, err := config.Write(r.Config)
		return show.Answer{Value: r, YAML: append(heading(r), yaml...), Tables: []show.Table{revisionTable(api.Revisions{Revisions: []api.RevisionEntry{r.RevisionEntry}})}}, err
	})
}

// heading says in comments who made a revision, and what it changed of the one before.
func heading(r api.Revision) []byte {
	var b bytes.Buffer
	comment := func(format string, args ...any) { fmt.Fprintf(&b, "# %s\n", cli.OneLine(fmt.Sprintf(format, args...))) }
	comment("revision %d: %s", r.Number, r.Reason)
	if r.Actor != "" {
		comment("by %s (%s) at %s", r.Actor, cmp.Or(r.Origin, "the daemon itself"), r.Time.Format(time.RFC3339))
	}
	for _, d := range r.Changes {
		comment("%s: %s > %s", d.Field, cmp.Or(d.Before, "none"), cmp.Or(d.After, "none"))
	}
	if r.Omitted > 0 {
		comment("and %d more", r.Omitted)
	}
	return b.Bytes()
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
		Long: `Make the intent what it was at an earlier revision: services, replicas with their states, pools and interfaces. It is a
change as any other, and becomes a new revision. datapath stays as the daemon was started with, and so does what
is set by hand on replicas now, unless --take-back has it taken back.`,
		Example: `  lbctl get revisions
  lbctl rollback 7 --dry-run
  lbctl rollback 7`,
		Args: cli.Takes("REVISION"),
	}
	a.Complete(c, cli.Revisions)
	dry := dryFlag(c)
	back := takeBackFlag(c)
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		number, err := revisionNumber(c, args[0])
		if err != nil {
			return err
		}
		return change(a, c.Context(), *f, warn, func(ctx context.Context, d *client.Client) (api.Change, error) {
			return d.Rollback(ctx, number, *dry, *back...)
		})
	}
	return c
}
