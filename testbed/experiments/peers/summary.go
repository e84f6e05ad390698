package peers

import (
	"math"
	"time"

	"lbctl/testbed/bench/load"
	"lbctl/testbed/measure"
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
