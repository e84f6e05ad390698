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
	Checks   []experiment.Statement `json:"checks"`
	Controls []experiment.Statement `json:"controls"`
	// Predictions are the questions of the handout.
	Predictions []prediction `json:"predictions"`
}

// prediction is one question of the handout.
type prediction struct {
	Name     string `json:"name"`
	Question string `json:"question"`
	Kind     string `json:"kind"`
	Unit     string `json:"unit,omitempty"`
	Rule     string `json:"rule,omitempty"`
}

func describe(e experiment.Experiment) description {
	d := description{
		labEntry: newEntry(e),
		Claim:    e.Claim, Method: e.Method, Rig: e.Rig,
		Checks: e.Checks, Controls: e.Controls, Predictions: []prediction{},
	}
	for _, p := range e.Predictions {
		kind := "number"
		if p.Kind == experiment.YesNo {
			kind = string(p.Kind)
		}
		d.Predictions = append(d.Predictions, prediction{p.Name, p.Question, kind, p.Unit, p.Rule()})
	}
	return d
}

func labDescribeCommand(a *cli.App) *cobra.Command {
	c := &cobra.Command{
		Use:   "describe NAME",
		Short: "Print the question, method, checks and controls of an experiment",
		Long: `Print the question of an experiment, the textbook's answer, how it is measured here, and the checks
that could falsify it. Each control breaks something on purpose, so that a check must fail.

With --handout it prints the question as a student gets it, without the answer, and questions about the
outcome, as a file to fill in: lbctl lab run NAME --predict FILE holds the answers against what it measures.`,
		Example: `  lbctl lab describe spread
  lbctl lab describe spread --handout > spread.yaml`,
		Args: cli.Takes("NAME"),
	}
	handout := c.Flags().Bool("handout", false, "print the question without the answer, as a file of predictions to fill in")
	f := cli.OutputFlag(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		e, err := find(args[0])
		if err != nil {
			return err
		}
		if *handout {
			if *f != cli.FormatTable {
				return cli.Usage(c, "--handout: it is a file of its own format, without --output")
			}
			return e.WriteHandout(a.Stdout)
		}
		d := describe(e)
		return a.Print(*f, d, d.write)
	}
	return c
}

// write writes the description for a reader.
func (d description) write(w io.Writer) {
	fmt.Fprintf(w, "%s (problem %s), about %.0f s, with --quick %.0f s, as root\n", d.Name, d.Problem, d.Seconds, d.QuickSeconds)
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
