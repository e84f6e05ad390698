package peers

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"lbctl/testbed/bench/load"
	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// outcome says what was measured.
func (b *bench) outcome() (out experiment.Outcome, err error) {
	env := report.Gather(b.env.Now())
	env.Rig, env.XDP = "veth", "native"
	r := report.Result{
		Experiment: "bench peers", Problem: "speed", Seed: b.env.Seed,
		Environment: env, Parameters: b.parameters.Values(),
	}
	r.Parameters["busy with other processes"] = measure.Round(b.others(), 3)
	r.Checks, r.Controls = b.checks()
	r.Pass = report.Passed(r.Checks, r.Controls)
	for _, w := range b.works {
		r.Tables = append(r.Tables, b.table(w))
		figure, err := b.figure(w)
		if err != nil {
			return out, err
		}
		out.Figures = append(out.Figures, figure)
	}
	if t := b.unmeasured(); len(t.Rows) > 0 {
		r.Tables = append(r.Tables, t)
	}
	r.Tables = append(r.Tables, b.who())
	out.Result = r
	return out, nil
}

// table is the figures of some work.
func (b *bench) table(w load.Work) report.Table {
	t := report.Table{
		Name:    w.Name + ": " + w.Summary(),
		Columns: []string{"peer", "requests/s", "of direct", "p50 ms", "p99 ms", "errors", "replicas", "balancer CPU us", "all CPU us", "above direct us"},
	}
	for _, f := range b.figures(w) {
		t.Rows = append(t.Rows, []any{
			f.peer.name, measure.Round(f.rate, 0), number(f.ofDirect, 3), measure.Round(f.p50, 3), measure.Round(f.p99, 3), f.errors, f.arrivals.reached(),
			number(f.balancer, 2), measure.Round(f.all, 2), number(f.above, 2),
		})
	}
	return t
}

// number is a cell; there is none where something was not measured.
func number(v float64, decimals int) any {
	if math.IsNaN(v) {
		return "-"
	}
	return measure.Round(v, decimals)
}

// unmeasured lists what was not measured, and why.
func (b *bench) unmeasured() report.Table {
	t := report.Table{Name: "not measured", Columns: []string{"peer", "work", "why"}}
	for _, p := range b.paths {
		if p.broken != "" {
			t.Rows = append(t.Rows, []any{p.name, "all", strings.Join(strings.Fields(p.broken), " ")})
			continue
		}
		for _, w := range b.works {
			if why := p.refuses(w); why != "" {
				t.Rows = append(t.Rows, []any{p.name, w.Name, why})
			}
		}
	}
	return t
}

// who says what the peers are.
func (b *bench) who() report.Table {
	t := report.Table{Name: "peers", Columns: []string{"peer", "what it is"}}
	for _, p := range b.paths {
		t.Rows = append(t.Rows, []any{p.name, p.summary})
	}
	return t
}

// figure draws some work: requests a second, and CPU time a request.
func (b *bench) figure(w load.Work) (report.Figure, error) {
	rates := report.Panel{X: "peer", Y: "requests/s"}
	costs := report.Panel{X: "peer", Y: "CPU time a request, us"}
	list := b.figures(w)
	base := list[max(slices.IndexFunc(list, func(f figures) bool { return f.peer.name == direct }), 0)]
	for _, f := range list {
		rates.Shares = append(rates.Shares, report.Share{Label: f.peer.name, Count: measure.Round(f.rate, 0), Expected: base.rate, Low: f.slowest, High: f.fastest})
		costs.Shares = append(costs.Shares, report.Share{Label: f.peer.name, Count: measure.Round(f.all, 1), Expected: base.all, Low: f.leastCPU, High: f.mostCPU})
	}
	return report.Shares(w.Name, "Requests and CPU time: "+w.Name, fmt.Sprintf(
		"%s. Bars are medians of %d rounds in which the peers took turns; the grey boxes hold all rounds; the dashed lines are %s. CPU time is that of balancer, clients, replicas and kernel.",
		w.Summary(), b.rounds, base.peer.name), rates, costs)
}
