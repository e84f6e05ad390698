package sim_test

import (
	"iter"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"lbctl/rss/sim"
)

// service is the mean service time of the queueing systems here.
const service = 10 * time.Microsecond

// lengths gives every arrival a length, which is its service time in nanoseconds.
func lengths(arrivals iter.Seq[sim.Arrival], seed uint64, draw func(*rand.Rand) float64) iter.Seq[sim.Arrival] {
	return func(yield func(sim.Arrival) bool) {
		r := rand.New(rand.NewPCG(seed, 99))
		for a := range arrivals {
			if a.Length = int(draw(r) + 0.5); !yield(a) {
				return
			}
		}
	}
}

// TestPollaczekKhinchine: the mean wait of M/G/1 is rate * E[S^2] / 2(1 - utilisation)
// (Kleinrock, Queueing Systems 1, 1975, chapter 5), so for a constant service time half that
// for an exponential one.
func TestPollaczekKhinchine(t *testing.T) {
	s := float64(service)
	for _, c := range []struct {
		name string
		draw func(*rand.Rand) float64
		// second is E[S^2] / E[S]^2.
		second float64
	}{
		{"M/D/1", func(*rand.Rand) float64 { return s }, 1},
		{"M/M/1", func(r *rand.Rand) float64 { return r.ExpFloat64() * s }, 2},
		{"M/G/1, 9 short to 1 long", func(r *rand.Rand) float64 {
			if r.IntN(10) == 0 {
				return s * 5.5
			}
			return s * 0.5
		}, 0.9*0.25 + 0.1*5.5*5.5},
	} {
		for _, utilisation := range []float64{0.2, 0.5, 0.8, 0.9} {
			config := server(t, sim.MaxRing)
			config.Costs.PerKiB = 1024 // a nanosecond a byte
			config.Warmup, config.Duration = 20*time.Millisecond, 600*time.Millisecond
			wait := replicate(func(seed uint64) float64 {
				r := run(t, config, lengths(poisson(t, seed, utilisation/service.Seconds()), seed, c.draw))
				sums(t, r)
				return r.Latency.Mean() - s
			})
			theory := utilisation * s * c.second / 2 / (1 - utilisation)
			wait.agrees(t, c.name, theory, 0.03)
		}
	}
}

// TestQuantiles: the time in M/M/1 is exponential, of mean S/(1 - utilisation) (Kleinrock,
// chapter 5).
func TestQuantiles(t *testing.T) {
	const utilisation = 0.6
	config := server(t, sim.MaxRing)
	config.Costs.PerKiB = 1024
	config.Warmup, config.Duration = 10*time.Millisecond, time.Second
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999} {
		theory := -math.Log(1-q) * float64(service) / (1 - utilisation)
		got := replicate(func(seed uint64) float64 {
			r := run(t, config, lengths(poisson(t, seed, utilisation/service.Seconds()), seed, func(r *rand.Rand) float64 {
				return r.ExpFloat64() * float64(service)
			}))
			// The histogram errs upwards, by half its bound on average.
			return float64(r.Latency.Quantile(q)) / (1 + sim.HistogramError/2)
		})
		if off := math.Abs(got.mean - theory); off > 4.5*got.deviation+theory*sim.HistogramError/2 {
			t.Errorf("quantile %g: %.5g ns, theory says %.5g; seeds 1 to %d", q, got.mean, theory, replications)
		}
	}
}

// TestBusyTime: the share of the time in packet work is the utilisation, and each interrupt
// begins a busy period, of 1/(1 - utilisation) packets on average (Kleinrock, chapter 5).
func TestBusyTime(t *testing.T) {
	const utilisation = 0.7
	config := server(t, sim.MaxRing)
	config.Costs.Packet = service
	config.Warmup, config.Duration = 20*time.Millisecond, 500*time.Millisecond
	replicate(func(seed uint64) float64 {
		r := run(t, config, poisson(t, seed, utilisation/service.Seconds()))
		core := r.Cores[0]
		return float64(core.Softirq+core.Ksoftirqd) / float64(r.Window)
	}).agrees(t, "share of packet work", utilisation, 0.01)
	replicate(func(seed uint64) float64 {
		r := run(t, config, poisson(t, seed, utilisation/service.Seconds()))
		return float64(r.Completed) / float64(r.Cores[0].Interrupts)
	}).agrees(t, "packets per interrupt", 1/(1-utilisation), 0.01)
}
