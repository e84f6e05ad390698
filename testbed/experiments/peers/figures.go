package peers

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"lbctl/testbed/load"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// figures is what a peer did at some work, over the rounds.
type figures struct {
	peer *path
	// rate is in requests a second; the times are in milliseconds.
	rate, slowest, fastest, p50, p99 float64
	// ofDirect is the rate relative to that of direct in the same round.
	ofDirect float64
	errors   int
	// balancer is the CPU time of the process that balances, NaN if there is none, all that of balancer,
	// clients, replicas and kernel, above the same less that of direct in the same round; in microseconds a request.
	balancer, all, above float64
	// leastCPU and mostCPU are all of the cheapest and of the dearest round.
	leastCPU, mostCPU float64
	arrivals          arrivals
}

// of returns the measurements of a peer at some work, by round.
func (b *bench) of(w load.Work, peer string) (list []measurement) {
	for round := range b.rounds {
		for _, m := range b.measured {
			if m.work == w.Name && m.peer == peer && m.round == round {
				list = append(list, m)
			}
		}
	}
	return list
}

// microseconds is a time for each request.
func (m measurement) microseconds(t time.Duration) float64 {
	return float64(t) / float64(time.Microsecond) / float64(max(m.Requests, 1))
}

func (m measurement) allCPU() float64      { return m.microseconds(m.all) }
func (m measurement) balancerCPU() float64 { return m.microseconds(m.balancer) }

// figures sums up what was measured at some work, in the order of the peers.
func (b *bench) figures(w load.Work) (list []figures) {
	base := b.of(w, direct)
	for _, p := range b.paths {
		m := b.of(w, p.name)
		if len(m) == 0 {
			continue
		}
		milliseconds := func(t time.Duration) float64 { return float64(t) / float64(time.Millisecond) }
		rates, costs := measure.Collect(m, measurement.rate), measure.Collect(m, measurement.allCPU)
		f := figures{
			peer: p, rate: measure.Median(rates), slowest: measure.Quantile(rates, 0), fastest: measure.Quantile(rates, 1),
			p50:      measure.Median(measure.Collect(m, func(m measurement) float64 { return milliseconds(m.P50) })),
			p99:      measure.Median(measure.Collect(m, func(m measurement) float64 { return milliseconds(m.P99) })),
			balancer: measure.Median(measure.Collect(m, measurement.balancerCPU)),
			all:      measure.Median(costs), leastCPU: measure.Quantile(costs, 0), mostCPU: measure.Quantile(costs, 1),
			ofDirect: measure.Paired(rates, measure.Collect(base, measurement.rate), measure.Ratio),
			above:    measure.Paired(costs, measure.Collect(base, measurement.allCPU), measure.Difference),
		}
		if p.pid == 0 {
			f.balancer = math.NaN()
		}
		for _, m := range m {
			f.errors += m.Errors
			f.arrivals = f.arrivals.add(m.arrivals)
		}
		list = append(list, f)
	}
	return list
}

func (m measurement) rate() float64 { return m.Rate() }

// cost is what the peers are compared by: CPU time above that of direct, or if that was not measured,
// all of it.
func (f figures) cost() float64 {
	if math.IsNaN(f.above) {
		return f.all
	}
	return f.above
}

// others is the share of the machine that other people's processes took, over all that was measured.
func (b *bench) others() float64 {
	return measure.Median(measure.Collect(b.measured, func(m measurement) float64 { return m.others }))
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

// peerTable says what the peers are.
func (b *bench) peerTable() report.Table {
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
