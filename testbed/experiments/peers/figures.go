package peers

import (
	"cmp"
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
	// CPU times, in microseconds a request. balancer is that of the process that balances, NaN if there is none; all is
	// that of balancer, clients, replicas and kernel; above is all less that of direct in the same round.
	balancer, all, above float64
	// leastCPU and mostCPU are all in the cheapest and in the most expensive round.
	leastCPU, mostCPU float64
	arrivals          arrivals
}

// microseconds divides a time by the number of requests.
func (m measurement) microseconds(t time.Duration) float64 {
	return float64(t) / float64(time.Microsecond) / float64(max(m.Requests, 1))
}

func (m measurement) allCPU() float64      { return m.microseconds(m.all) }
func (m measurement) balancerCPU() float64 { return m.microseconds(m.balancer) }

// figures sums up what was measured at some work, in the order of the peers.
func (b *bench) figures(w load.Work) (list []figures) {
	rounds := b.measured[w.Name]
	for _, p := range b.paths {
		if rounds == nil || len(rounds.All(p.name)) == 0 {
			continue
		}
		of := func(figure func(measurement) float64) []float64 { return rounds.Sample(p.name, figure).Values }
		toDirect := func(figure func(measurement) float64, f func(a, b float64) float64) float64 {
			return measure.Median(rounds.Pairs(p.name, direct, figure, f).Values)
		}
		rates, costs := of(measurement.rate), of(measurement.allCPU)
		f := figures{
			peer: p, rate: measure.Median(rates), slowest: measure.Quantile(rates, 0), fastest: measure.Quantile(rates, 1),
			p50:      measure.Median(of(func(m measurement) float64 { return milliseconds(m.P50) })),
			p99:      measure.Median(of(func(m measurement) float64 { return milliseconds(m.P99) })),
			balancer: measure.Median(of(measurement.balancerCPU)),
			all:      measure.Median(costs), leastCPU: measure.Quantile(costs, 0), mostCPU: measure.Quantile(costs, 1),
			ofDirect: toDirect(measurement.rate, measure.Ratio), above: toDirect(measurement.allCPU, measure.Difference),
		}
		if p.pid == 0 {
			f.balancer = math.NaN()
		}
		for _, m := range rounds.All(p.name) {
			f.errors += m.Errors
			f.arrivals = f.arrivals.add(m.arrivals)
		}
		list = append(list, f)
	}
	return list
}

func milliseconds(t time.Duration) float64 { return float64(t) / float64(time.Millisecond) }

func (m measurement) rate() float64 { return m.Rate() }

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

// number is a cell, a dash where something was not measured.
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
		if why := cmp.Or(p.absent, p.broken); why != "" {
			t.Rows = append(t.Rows, []any{p.name, "all", strings.Join(strings.Fields(why), " ")})
			continue
		}
		for _, w := range b.works {
			if why := p.refuses(w); why != "" {
				t.Rows = append(t.Rows, []any{p.name, w.Name, why})
			}
		}
	}
	for _, a := range b.absent {
		t.Rows = append(t.Rows, []any{a.name, "all", a.why})
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
		"%s. Bars are medians of %d rounds in which the peers took turns; the grey boxes hold all of them; the dashed lines are %s. CPU time is that of balancer, clients, replicas and kernel.",
		w.Summary(), b.rounds, base.peer.name), rates, costs)
}
