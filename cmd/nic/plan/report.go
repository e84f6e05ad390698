package plan

import (
	"fmt"
	"path/filepath"
	"strconv"

	"lbctl/cmd/cli"
	"lbctl/rss"
	"lbctl/rss/advice"
	"lbctl/rss/balance"
	"lbctl/rss/replay"
	"lbctl/testbed/report"
)

// write writes a plan as a report with pictures of before and after.
func (f *flags) write(name string, o replay.Observed, p *advice.Plan) error {
	loads, err := loadFigure(p)
	if err != nil {
		return err
	}
	figures := []report.Figure{loads}
	if flows := o.Flows(); flows > 0 { // else --buckets does not tell them
		figure, err := flowFigure(o, p, int(flows))
		if err != nil {
			return err
		}
		figures = append(figures, figure)
	}
	if len(p.Steps) > 2 {
		steps, err := stepFigure(p)
		if err != nil {
			return err
		}
		figures = append(figures, steps)
	}
	return cli.WriteReport(f.out, "load of "+filepath.Base(name), report.Result{
		Experiment: "plan for " + filepath.Base(name), Seed: f.Seed,
		Parameters: map[string]any{"load": name, "interface": f.Interface, "queues": p.Queues, "table": len(p.Table), "by": string(p.Measure), "budget": f.budget, "apply": f.apply},
		Checks:     checks(p), Tables: tables(p),
	}, figures...)
}

// checks tell whether the plan keeps what it was asked.
func checks(p *advice.Plan) []report.Check {
	sum := func(loads []uint64) (n uint64) {
		for _, l := range loads {
			n += l
		}
		return n
	}
	list := []report.Check{
		{Name: "load-kept", Pass: sum(p.Now.Loads) == sum(p.After.Loads), Measured: int(sum(p.After.Loads)), Expected: int(sum(p.Now.Loads)),
			Detail: "The queues have the same load in all under the planned table."},
		{Name: "not-worse", Pass: p.After.MaxMean <= p.Now.MaxMean, Measured: p.After.MaxMean, Expected: fmt.Sprintf("at most %.3f", p.Now.MaxMean),
			Detail: "The busiest queue's load by the mean, planned and now."},
	}
	if p.Budget != nil {
		list = append(list, report.Check{Name: "within-budget", Pass: p.Moved.Flows <= *p.Budget, Measured: int(p.Moved.Flows),
			Expected: fmt.Sprintf("at most %d", *p.Budget), Detail: "Flows that move to another queue."})
	}
	return list
}

func tables(p *advice.Plan) []report.Table {
	queues := report.Table{Name: "queues", Columns: []string{"queue", string(p.Measure) + " now", "planned"}}
	for q := range max(len(p.Now.Loads), len(p.After.Loads)) {
		queues.Rows = append(queues.Rows, []any{q, int(at(p.Now.Loads, q)), int(at(p.After.Loads, q))})
	}
	steps := report.Table{Name: "what smaller budgets achieve", Columns: []string{"entries", "flows moved", "max/mean"}}
	for _, s := range p.Steps {
		steps.Rows = append(steps.Rows, []any{s.Entries, int(s.Flows), s.MaxMean})
	}
	commands := report.Table{Name: "commands", Columns: []string{"command"}}
	for _, c := range p.Commands {
		commands.Rows = append(commands.Rows, []any{c})
	}
	verdict := report.Table{Name: "verdict", Columns: []string{"kind", "text"}, Rows: [][]any{{p.Kind, p.Text}}}
	return []report.Table{verdict, queues, commands, steps}
}

func at(loads []uint64, q int) uint64 {
	if q >= len(loads) {
		return 0
	}
	return loads[q]
}

// The X labels of the two panels of a figure.
const before, after = "receive queue, now", "receive queue, planned"

// loadFigure draws the load of the queues before and after.
func loadFigure(p *advice.Plan) (report.Figure, error) {
	panel := func(x string, loads []uint64) report.Panel {
		mean := 0.0
		for _, l := range loads {
			mean += float64(l) / float64(len(loads))
		}
		made := report.Panel{X: x, Y: string(p.Measure)}
		for q, l := range loads {
			made.Shares = append(made.Shares, report.Share{Label: strconv.Itoa(q), Count: float64(l), Expected: mean, Low: mean, High: mean})
		}
		return made
	}
	return report.Shares("load", "Load of the queues, now and planned", p.Text+" Dashed is the mean.",
		panel(before, p.Now.Loads), panel(after, p.After.Loads))
}

// flowFigure draws the flows of the queues before and after, with what chance gives under each table.
func flowFigure(o replay.Observed, p *advice.Plan, n int) (report.Figure, error) {
	panel := func(x string, table rss.Table) (report.Panel, error) {
		counts := make([]uint64, max(p.Queues, table.Queues()))
		for i, b := range o.Buckets {
			counts[table[i]] += b.Flows
		}
		shares := make([]float64, len(counts))
		copy(shares, table.Shares())
		bands, err := balance.ShareBands(n, shares, 0.95)
		if err != nil {
			return report.Panel{}, fmt.Errorf("draw flows of queues: %w", err)
		}
		made := report.Panel{X: x, Y: "hashed flows"}
		for q, c := range counts {
			made.Shares = append(made.Shares, report.Share{
				Label: strconv.Itoa(q), Count: float64(c), Expected: float64(n) * shares[q], Low: float64(bands[q].Low), High: float64(bands[q].High),
			})
		}
		return made, nil
	}
	now, err := panel(before, o.Table())
	if err != nil {
		return report.Figure{}, err
	}
	then, err := panel(after, p.Table)
	if err != nil {
		return report.Figure{}, err
	}
	return report.Shares("flows", "Flows of the queues, now and planned",
		"Grey is the range by chance in 95 of 100 cases, if flows fell on the entries of the table at random. A plan that evens out the load may leave it.", now, then)
}

// stepFigure draws what smaller budgets achieve.
func stepFigure(p *advice.Plan) (report.Figure, error) {
	line := report.Series{Name: "busiest queue by the mean"}
	for _, s := range p.Steps {
		line.Points = append(line.Points, report.Point{X: float64(s.Flows), Y: s.MaxMean})
	}
	return report.Lines("steps", "What smaller budgets achieve", "The load of the busiest queue by the mean, against the flows that move for it.",
		report.Chart{X: report.Axis{Label: "flows that move"}, Y: report.Axis{Label: "max/mean"}, Series: []report.Series{line}})
}
