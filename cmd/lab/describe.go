package lab

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lbctl/cmd/cli"
	"lbctl/testbed/experiment"
)

// description is what an experiment declares of itself; scripts rely on its names.
type description struct {
	labEntry
	Claim    string                 `json:"claim"`
	Method   string                 `json:"method"`
	Rig      string                 `json:"rig"`
	Packages []string               `json:"packages"`
	Seconds  float64                `json:"seconds"`
	Checks   []experiment.Statement `json:"checks"`
	Controls []experiment.Statement `json:"controls"`
}

func describe(e experiment.Experiment) description {
	return description{
		labEntry: labEntry{e.Name, e.Problem, e.Question, e.Trial().Parameters().List()},
		Claim:    e.Claim, Method: e.Method, Rig: e.Rig,
		Packages: append([]string{}, e.Needs.Packages...), Seconds: e.Needs.Time.Seconds(),
		Checks: e.Checks, Controls: e.Controls,
	}
}

func labDescribeCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "describe NAME",
		Short: "Print the question, method, checks and controls of an experiment",
		Long: `Print the question of an experiment, the textbook's answer, how it is measured here, and the checks
that could falsify it. Each control breaks something on purpose, so that a check must fail.`,
		Example: `  lbctl lab describe spread`,
		Args:    cli.Takes("NAME"),
	}
	f := cli.OutputFlag(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		e, err := find(args[0])
		if err != nil {
			return err
		}
		d := describe(e)
		return a.Print(*f, d, d.write)
	}
	return c
}

// write writes the description for a reader.
func (d description) write(w io.Writer) {
	fmt.Fprintf(w, "%s (problem %s), about %.0f s, as root\n", d.Name, d.Problem, d.Seconds)
	if len(d.Packages) > 0 {
		fmt.Fprintf(w, "packages, installed where missing: %s\n", strings.Join(d.Packages, ", "))
	}
	fmt.Fprintf(w, "\nquestion  %s\nclaim     %s\nmethod    %s\n\nchecks\n", d.Summary, d.Claim, d.Method)
	for _, s := range d.Checks {
		cli.Row(w, "  "+s.Name, s.Text)
	}
	fmt.Fprintln(w, "\ncontrols")
	for _, s := range d.Controls {
		cli.Row(w, "  "+s.Name, s.Text)
	}
	fmt.Fprintln(w, "\nparameters")
	cli.Row(w, "  name", "default", "quick", "full", "from", "to", "what it is")
	for _, p := range d.Parameters {
		cli.Row(w, "  "+p.Name, p.Default, p.Quick, p.Full, p.Low, p.High, p.Help)
	}
}
