package nic

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"lbctl/cmd/cli"
)

// print prints a plan for a reader.
func (p *tablePlan) print(w io.Writer) {
	budget := "all may"
	if p.Budget != nil {
		budget = fmt.Sprintf("%d may", *p.Budget)
	}
	cli.Row(w, "TABLE", "HOTTEST QUEUE", "MAX/MEAN", "FLOWS MOVED ("+budget+")", "OF THE "+strings.ToUpper(string(p.Measure)))
	cli.Row(w, "now", p.Now.Hottest, fmt.Sprintf("%.3f", p.Now.MaxMean), "", "")
	cli.Row(w, "planned", p.After.Hottest, fmt.Sprintf("%.3f", p.After.MaxMean), p.Moved.flows(), p.Moved.load())
	if p.Weights != nil {
		cli.Row(w, "by ethtool -X", "", fmt.Sprintf("%.3f", p.Weights.MaxMean), p.Weights.Moved.flows(), p.Weights.Moved.load())
	}
	p.printSteps(w)
	p.printQueues(w)
	fmt.Fprintln(w)
	for _, c := range p.Commands {
		fmt.Fprintln(w, c)
	}
	if p.Weights != nil {
		fmt.Fprintf(w, "# or, without netlink:\n%s\n", p.Weights.Command)
	}
	for _, o := range p.WhatIf {
		o.print(w)
	}
}

func (m planMoved) flows() string { return fmt.Sprintf("%d (%.1f %%)", m.Flows, 100*m.FlowShare) }
func (m planMoved) load() string  { return fmt.Sprintf("%.1f %%", 100*m.LoadShare) }

// printSteps prints what a smaller budget buys: the states at which the hottest queue has cooled by
// another quarter of the way.
func (p *tablePlan) printSteps(w io.Writer) {
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

func (p *tablePlan) printQueues(w io.Writer) {
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
