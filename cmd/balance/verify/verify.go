// Package verify has the command that compares the kernel with the intent.
package verify

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/control/api"
)

// Command compares what is in the kernel with what should be there.
func Command(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "verify",
		Short: "Compare what is in the kernel with what should be there",
		Long: `Compare what the daemon forwards with the intent, and every row, link and pin in the kernel with what the daemon has put
there. It exits 0 if nothing differs, and 1 with what does: the table, the row, what should be there and what is. Not compared is what
packets write: records of flows, counters, the use of rates.

The daemon does the same every 10 seconds and repairs what others have changed, so what this finds is recent. --repair
does not wait for that; it exits 0 if nothing is left. Flows whose rows are right are not touched.`,
		Example: `  lbctl verify
  lbctl verify --repair
  lbctl verify -o json`,
		Args: cli.Takes(),
	}
	repair := c.Flags().Bool("repair", false, "make what differs as it should be")
	f := cli.OutputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		d := a.Client()
		defer d.Close()
		v, err := d.Verify(c.Context(), *repair)
		if err != nil {
			return err
		}
		if err := a.Print(*f, v, func(w io.Writer) { print(w, v) }); err != nil {
			return err
		}
		if left := int(v.Found - v.Repaired); left > 0 {
			return &cli.Failure{Code: cli.ExitFailed, What: fmt.Sprintf("%s from what should be there", differ(left)), Do: "lbctl verify --repair"}
		}
		return nil
	}
	return c
}

func differ(n int) string {
	if n == 1 {
		return "one row, link or pin differs"
	}
	return fmt.Sprintf("%d rows, links or pins differ", n)
}

func print(w io.Writer, v api.Verification) {
	if len(v.Drifts) == 0 {
		fmt.Fprintln(w, "all that is in the kernel is as it should be")
	} else {
		cli.Row(w, "TABLE", "ROW", "WANT", "HAVE", "REPAIRED")
	}
	for _, d := range v.Drifts {
		cli.Row(w, d.Table, d.Row, d.Want, d.Have, cli.YesNo(d.Repaired))
	}
	if more := int(v.Found) - len(v.Drifts); more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
	if s := v.SinceStart; s.Found > 0 {
		fmt.Fprintf(w, "since the daemon started others have changed %d, of which %d were repaired\n", s.Found, s.Repaired)
	}
}
