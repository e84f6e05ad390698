package sim_test

import (
	"math"
	"testing"
	"time"

	"lbctl/rss/sim"
)

// livelock is a machine whose core an interrupt per packet can take wholly.
func livelock(t *testing.T, mode sim.Mode) sim.Config {
	c := machine(t, 1)
	c.Mode, c.Moderation = mode, sim.Moderation{}
	c.Costs = sim.Costs{Interrupt: 2 * time.Microsecond, Packet: time.Microsecond, Application: 2 * time.Microsecond}
	c.Socket = 1 << 14 // more than a turn of ksoftirqd brings
	c.Warmup, c.Duration = 50*time.Millisecond, 550*time.Millisecond
	return c
}

// goodput is what the application gets done of a rate, per second.
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
		// Of n Poisson packets sqrt(n) are chance, and in saturation each takes or leaves 1.5
		// packets' time; around the corner the socket evens it out.
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
// core, half of it: 0.5/A = 250,000/s; busy polling does not even waste the rest: it takes
// no packet that it does not deliver, 1/(P+A).
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
		// Turns of 2.8 ms in 500 ms: the window may cut one turn more of one than of the other.
		if math.Abs(got-c.want) > c.want*2.8/250 {
			t.Errorf("%s at %.0f/s: %.0f/s, want %.0f; seed 1", c.mode, c.overload, got, c.want)
		}
	}
}

// TestShare: the application's share is what was asked for, if it always has a packet.
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

// TestNothingOwed: a thread that had little to do, while the other had much, does not get the core
// for itself when it has: turns begin anew. (20 us of packet work at 40,000/s leave little, then
// come packets without length.)
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
