package sim_test

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// blocking is the loss of M/D/1/K, which holds K packets, the one in service included. The
// number left behind by departures is a Markov chain: a departure from j > 0 is followed
// by one from j-1 plus the Poisson arrivals of a service time, cut off at K-1; from 0 as from
// 1. With p0 its probability of 0, the loss is 1 - 1/(p0 + utilisation) (Takagi,
// Queueing Analysis 2: Finite Systems, 1993).
func blocking(utilisation float64, k int) float64 {
	arrivals := make([]float64, k)
	for i := range arrivals {
		lgamma, _ := math.Lgamma(float64(i + 1))
		arrivals[i] = math.Exp(float64(i)*math.Log(utilisation) - utilisation - lgamma)
	}
	// Balance gives each state from those before it, up to a factor: p[j] = p[0]*a[j] +
	// sum over i = 1..j+1 of p[i]*a[j-i+1].
	p := make([]float64, k)
	p[0] = 1
	sum := 1.0
	for j := range k - 1 {
		next := p[j] - p[0]*arrivals[j]
		for i := 1; i <= j; i++ {
			next -= p[i] * arrivals[j-i+1]
		}
		p[j+1] = next / arrivals[0]
		sum += p[j+1]
	}
	return 1 - 1/(p[0]/sum+utilisation)
}

// TestBlockingFormula: where the loss is known otherwise. With K = 1 it is Erlang's, and for an
// overloaded large system what exceeds the capacity.
func TestBlockingFormula(t *testing.T) {
	for _, c := range []struct {
		utilisation float64
		k           int
		want        float64
	}{{0.5, 1, 0.5 / 1.5}, {2, 1, 2. / 3}, {1.5, 30, 1. / 3}} {
		if got := blocking(c.utilisation, c.k); math.Abs(got-c.want) > 1e-4 {
			t.Errorf("utilisation %g, %d places: %g, want %g", c.utilisation, c.k, got, c.want)
		}
	}
}

// TestRingLoss: a ring loses what M/D/1/K does.
func TestRingLoss(t *testing.T) {
	for _, c := range []struct {
		utilisation float64
		ring        int
	}{{0.5, 1}, {0.8, 2}, {0.9, 5}, {1, 16}, {1.3, 8}, {0.95, 12}} {
		t.Run(fmt.Sprintf("%g in %d", c.utilisation, c.ring), func(t *testing.T) {
			config := server(t, c.ring)
			config.Costs.Packet = service
			config.Warmup, config.Duration = 10*time.Millisecond, 500*time.Millisecond
			loss := replicate(func(seed uint64) float64 {
				r := run(t, config, poisson(t, seed, c.utilisation/service.Seconds()))
				sums(t, r)
				if highest := r.Queues[0].Highest; highest > c.ring {
					t.Errorf("%d packets in a ring of %d", highest, c.ring)
				}
				return float64(r.RingDrops) / float64(r.Offered)
			})
			loss.agrees(t, "loss", blocking(c.utilisation, c.ring), 0.02)
		})
	}
}
