package sim_test

import (
	"iter"
	"math"
	"slices"
	"testing"
	"time"

	"lbctl/rss/nic"
	"lbctl/rss/sim"
	"lbctl/rss/sim/load"
)

// machine is the default one.
func machine(t testing.TB, queues int) sim.Config {
	t.Helper()
	c, err := sim.Default(queues)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// server is a machine in which only packet work takes time: a queueing system of one server.
func server(t testing.TB, ring int) sim.Config {
	t.Helper()
	c := machine(t, 1)
	c.Ring, c.Moderation, c.Costs = ring, sim.Moderation{}, sim.Costs{}
	return c
}

// traffic makes a load for the default NIC.
func traffic(t testing.TB, queues int, c load.Config) *load.Load {
	t.Helper()
	setup, err := nic.Default(queues)
	if err != nil {
		t.Fatal(err)
	}
	n, err := nic.New(setup)
	if err != nil {
		t.Fatal(err)
	}
	l, err := load.New(n, c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// poisson is one flow of 64-byte frames.
func poisson(t testing.TB, seed uint64, rate float64) iter.Seq[sim.Arrival] {
	t.Helper()
	return traffic(t, 1, load.Config{
		Seed: seed, Rate: rate, Timing: load.Poisson, Choice: load.Uniform, Flows: 1, Lengths: load.Fixed(64),
	}).Arrivals()
}

// at are packets of no length for queue 0 at these times.
func at(times ...time.Duration) iter.Seq[sim.Arrival] {
	return func(yield func(sim.Arrival) bool) {
		for _, t := range times {
			if !yield(sim.Arrival{At: t}) {
				return
			}
		}
	}
}

func run(t testing.TB, c sim.Config, arrivals iter.Seq[sim.Arrival]) sim.Result {
	t.Helper()
	r, err := sim.Run(t.Context(), c, arrivals)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// replications is the number of repetitions of an experiment, with the seeds 1, 2, ...
const replications = 40

// sample is the outcome of independent replications.
type sample struct{ mean, deviation float64 }

// replicate repeats an experiment and returns the mean of its outcomes with the standard error.
func replicate(experiment func(seed uint64) float64) sample {
	var outcomes []float64
	for seed := range uint64(replications) {
		outcomes = append(outcomes, experiment(seed+1))
	}
	var s sample
	for _, v := range outcomes {
		s.mean += v / replications
	}
	for _, v := range outcomes {
		s.deviation += (v - s.mean) * (v - s.mean)
	}
	s.deviation = math.Sqrt(s.deviation / (replications - 1) / replications)
	return s
}

// agrees fails unless theory is within 4.5 standard errors of the sample (7 of 100,000 correct samples
// are not, by Student's distribution with 39 degrees), and unless the standard error is small enough.
func (s sample) agrees(t *testing.T, name string, theory, precision float64) {
	t.Helper()
	if s.deviation > precision*theory {
		t.Errorf("%s: standard error of %.3g with a mean of %.4g is no test; seeds 1 to %d", name, s.deviation, s.mean, replications)
	}
	if off := math.Abs(s.mean - theory); off > 4.5*s.deviation {
		t.Errorf("%s: %.5g, theory says %.5g: %.1f standard errors off; seeds 1 to %d", name, s.mean, theory, off/s.deviation, replications)
	}
}

// spread are arrivals over all queues of a table of 128 entries, in turn.
func spread(gap time.Duration, n int) iter.Seq[sim.Arrival] {
	return func(yield func(sim.Arrival) bool) {
		for i := range n {
			if !yield(sim.Arrival{At: time.Duration(i) * gap, Length: 64, Hash: uint32(i), Hashed: true}) {
				return
			}
		}
	}
}

// sums checks the sums in a result.
func sums(t interface {
	Helper()
	Errorf(string, ...any)
}, r sim.Result) {
	t.Helper()
	if r.Offered != r.Delivered+r.RingDrops+r.SocketDrops || r.Latency.Count() != r.Delivered {
		t.Errorf("%d packets offered, %d delivered (%d latencies), %d and %d dropped", r.Offered, r.Delivered, r.Latency.Count(), r.RingDrops, r.SocketDrops)
	}
	for _, c := range r.Cores {
		times := []time.Duration{c.Interrupt, c.Softirq, c.Ksoftirqd, c.BusyPoll, c.Spin, c.Application, c.Switching, c.Idle}
		var sum time.Duration
		for _, d := range times {
			sum += d
		}
		if sum != r.Window || slices.Min(times) < 0 {
			t.Errorf("core %d: times %v sum to %v of %v", c.Index, times, sum, r.Window)
		}
	}
}
