package lab

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/testbed/experiment"
	"lbctl/testbed/lab"
)

// labEntry is an experiment of the catalogue; scripts rely on its names.
type labEntry struct {
	Name    string `json:"name"`
	Problem string `json:"problem"`
	Summary string `json:"description"`
	// Packages are those of Debian that are installed where they are missing.
	Packages []string `json:"packages"`
	// Seconds is about how long it takes on two cores by its defaults, QuickSeconds by its quick sizes.
	Seconds      float64                `json:"seconds"`
	QuickSeconds float64                `json:"quick_seconds"`
	Parameters   []experiment.Parameter `json:"parameter_list"`
}

func newEntry(e experiment.Experiment) labEntry {
	return labEntry{
		Name: e.Name, Problem: e.Problem, Summary: e.Question, Packages: append([]string{}, e.Needs.Packages...),
		Seconds: e.Needs.Time.Seconds(), QuickSeconds: e.Needs.Quick.Seconds(), Parameters: e.Trial().Parameters().List(),
	}
}

// needs says in words what the machine must have.
func (e labEntry) needs() string { return strings.Join(append([]string{"root"}, e.Packages...), ", ") }

type labEntries struct {
	Experiments []labEntry `json:"experiments"`
}

func labListCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the experiments, what they ask, how long they take and what they need",
		Long: `List the experiments in the order of the problems. The seconds are about those on two cores, with --quick and by
default. Debian packages are installed where they are missing. lbctl lab describe NAME tells the rest.`,
		Args:    cli.Takes(),
		Example: `  lbctl lab list -o json`,
	}
	f := cli.OutputFlag(c)
	c.RunE = func(*cobra.Command, []string) error {
		list := labEntries{[]labEntry{}}
		for _, e := range lab.All() {
			list.Experiments = append(list.Experiments, newEntry(e))
		}
		return a.Print(*f, list, func(w io.Writer) {
			cli.Row(w, "problem", "name", "quick", "default", "needs", "question")
			for _, e := range list.Experiments {
				cli.Row(w, e.Problem, e.Name, seconds(e.QuickSeconds), seconds(e.Seconds), e.needs(), e.Summary)
			}
		})
	}
	return c
}

// seconds writes a time for a table, "" if it is not known.
func seconds(s float64) string {
	if s == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f s", s)
}
