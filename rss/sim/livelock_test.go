package sim_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"lbctl/rss/sim"
)

// livelock is a machine whose core can be fully occupied by interrupts per packet.
func livelock(t *testing.T, mode sim.Mode) sim.Config {
	c := machine(t, 1)
	c.Mode, c.Moderation = mode, sim.Moderation{}
	c.Costs = sim.Costs{Interrupt: 2 * time.Microsecond, Packet: time.Microsecond, Application: 2 * time.Microsecond}
	c.Socket = 1 << 14 // more than a turn of ksoftirqd brings
	c.Warmup, c.Duration = 50*time.Millisecond, 550*time.Millisecond
	return c
}

// goodput is the number of packets that the application processes per second at a rate.
func goodput(t *testing.T, c sim.Config, rate float64) float64 {
	r := run(t, c, poisson(t, 1, rate))
	sums(t, r)
	return float64(r.Completed) / r.Window.Seconds()
}

// TestReceiveLivelock: with an interrupt per packet the application gets the time that the
// interrupts leave, (1 - rate*(I+P)) / A: it falls from the saturation at 1/(I+P+A) = 200,000/s
// to nothing at 1/(I+P) = 333,333/s (the shape that Mogul and Ramakrishnan measured).
func TestReceiveLivelock(t *testing.T) {
	config := livelock(t, sim.ModeInterrupt)
	for _, rate := range []float64{50_000, 100_000, 190_000, 220_000, 250_000, 300_000, 320_000} {
		fluid := math.Min(rate, (1-rate*3e-6)/2e-6)
		// The standard deviation of n Poisson packets is sqrt(n), and in saturation each costs or frees the time of 1.5
		// packets; near saturation the socket smooths it.
		tolerance := 5 * 1.5 * math.Sqrt(rate*0.5) / 0.5
		if got := goodput(t, config, rate); math.Abs(got-fluid) > tolerance {
			t.Errorf("at %.0f/s: %.0f/s, want %.0f within %.0f; seed 1", rate, got, fluid, tolerance)
		}
	}
	for _, rate := range []float64{400_000, 1_000_000} {
		if got := goodput(t, config, rate); got > 1000 {
			t.Errorf("at %.0f/s: %.0f/s, want a livelock; seed 1", rate, got)
		}
	}
}

// TestNoLivelock: under any overload the polling modes keep the application's share of the
// core, half of it: 0.5/A = 250,000/s. Busy polling does not waste the rest either: it takes
// only packets that it delivers, 1/(P+A).
func TestNoLivelock(t *testing.T) {
	for _, c := range []struct {
		mode     sim.Mode
		overload float64
		want     float64
	}{
		{sim.ModeNAPI, 1_500_000, 250_000}, {sim.ModeNAPI, 4_000_000, 250_000},
		{sim.ModeThreaded, 700_000, 250_000}, {sim.ModeThreaded, 4_000_000, 250_000},
		{sim.ModeBusyPoll, 400_000, 1e6 / 3}, {sim.ModeBusyPoll, 4_000_000, 1e6 / 3},
	} {
		got := goodput(t, livelock(t, c.mode), c.overload)
		// Slices of 2.8 ms in 500 ms: the window may have one slice more of one thread than of the other.
		if math.Abs(got-c.want) > c.want*2.8/250 {
			t.Errorf("%s at %.0f/s: %.0f/s, want %.0f; seed 1", c.mode, c.overload, got, c.want)
		}
	}
}

// TestShare: the application gets its share if it always has a packet.
func TestShare(t *testing.T) {
	for _, share := range []int{10, 25, 50, 80} {
		config := livelock(t, sim.ModeThreaded)
		config.Scheduler.Share = share
		config.Costs.Application = 20 * time.Microsecond
		r := run(t, config, poisson(t, 1, 3_000_000))
		got := float64(r.Cores[0].Application) / float64(r.Cores[0].Application+r.Cores[0].Ksoftirqd)
		if math.Abs(got-float64(share)/100) > 2.8/250 {
			t.Errorf("share %.3f, want %d %%; seed 1", got, share)
		}
	}
}

// TestNothingOwed: a thread that had little work does not get credit for that when it has more. (20 us of packet work
// at 40,000/s leave little for the application; then packets without length come.)
func TestNothingOwed(t *testing.T) {
	for _, c := range []struct {
		name                string
		perKiB, application time.Duration
	}{{"ksoftirqd", 0, 20 * time.Microsecond}, {"application", 20 * time.Microsecond, 3 * time.Microsecond}} {
		config := livelock(t, sim.ModeThreaded)
		config.Costs.PerKiB, config.Costs.Application = c.perKiB, c.application
		config.Warmup, config.Duration = 400*time.Millisecond, 440*time.Millisecond
		r := run(t, config, func(yield func(sim.Arrival) bool) {
			for now, length := time.Duration(0), 1024; ; now += 25 * time.Microsecond {
				if now >= config.Warmup {
					now, length = now-25*time.Microsecond+300, 0
				}
				if !yield(sim.Arrival{At: now, Length: length}) {
					return
				}
			}
		})
		sums(t, r)
		core := r.Cores[0]
		if got := float64(core.Application) / float64(core.Application+core.Ksoftirqd); math.Abs(got-0.5) > 0.1 {
			t.Errorf("%s had slept: the application's share is %.2f, want half", c.name, got)
		}
	}
}

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

// TestBlockingFormula: the formula for cases with a known loss. With K = 1 it is Erlang's, and for an
// overloaded large system the excess over the capacity.
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

// TestRingLoss: the loss of a ring is that of M/D/1/K.
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
