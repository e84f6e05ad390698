package plan

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"lbctl/cmd/cli"
	"lbctl/rss/advice"
)

// printer prints a plan for a reader.
type printer struct{ *advice.Plan }

func (p printer) print(w io.Writer) {
	fmt.Fprintf(w, "%s\n\n", p.Verdict.Text)
	budget := "all may"
	if p.Budget != nil {
		budget = fmt.Sprintf("%d may", *p.Budget)
	}
	cli.Row(w, "TABLE", "BUSIEST QUEUE", "MAX/MEAN", "FLOWS MOVED ("+budget+")", "OF THE "+strings.ToUpper(string(p.Measure)))
	cli.Row(w, "now", p.Now.Hottest, fmt.Sprintf("%.3f", p.Now.MaxMean), "", "")
	cli.Row(w, "planned", p.After.Hottest, fmt.Sprintf("%.3f", p.After.MaxMean), flows(p.Moved), load(p.Moved))
	if p.Weights != nil {
		cli.Row(w, "by ethtool -X", "", fmt.Sprintf("%.3f", p.Weights.MaxMean), flows(p.Weights.Moved), load(p.Weights.Moved))
	}
	p.printSteps(w)
	p.printQueues(w)
	fmt.Fprintln(w)
	if p.Applied {
		fmt.Fprintln(w, "The planned table is set, as these commands would:")
	}
	for _, c := range p.Commands {
		fmt.Fprintln(w, c)
	}
	if p.Weights != nil {
		fmt.Fprintf(w, "# or, without netlink:\n%s\n", p.Weights.Command)
	}
	for _, o := range p.WhatIf {
		fmt.Fprintf(w, "\nWhat if %s: max/mean %.3f at once, %.3f with a planned table (see -o json); %s moved.\n",
			o.Name, o.MaxMean, o.Planned, cli.Many(int(o.Moved.Flows), "flow"))
		for _, c := range o.Commands {
			fmt.Fprintln(w, c)
		}
	}
}

func flows(m advice.Moved) string { return fmt.Sprintf("%d (%.1f %%)", m.Flows, 100*m.FlowShare) }
func load(m advice.Moved) string  { return fmt.Sprintf("%.1f %%", 100*m.LoadShare) }

// printSteps prints what smaller budgets achieve: one state for each quarter of the improvement.
func (p printer) printSteps(w io.Writer) {
	if len(p.Steps) < 3 {
		return
	}
	fmt.Fprintln(w)
	cli.Row(w, "ENTRIES", "FLOWS MOVED", "MAX/MEAN")
	first, last := p.Steps[0].MaxMean, p.Steps[len(p.Steps)-1].MaxMean
	next := first
	for i, s := range p.Steps {
		if s.MaxMean <= next || i == len(p.Steps)-1 {
			cli.Row(w, s.Entries, s.Flows, fmt.Sprintf("%.3f", s.MaxMean))
			next = s.MaxMean - (first-last)/4
		}
	}
}

func (p printer) printQueues(w io.Writer) {
	fmt.Fprintln(w)
	cli.Row(w, "QUEUE", strings.ToUpper(string(p.Measure))+" NOW", "PLANNED")
	for q := range max(len(p.Now.Loads), len(p.After.Loads)) {
		cli.Row(w, q, loadAt(p.Now.Loads, q), loadAt(p.After.Loads, q))
	}
}

func loadAt(loads []uint64, q int) string {
	if q >= len(loads) {
		return ""
	}
	return strconv.FormatUint(loads[q], 10)
}
