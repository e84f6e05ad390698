package sim_test

import (
	"math"
	"testing"
	"time"

	"lbctl/rss/sim"
)

// TestCoalescing: with a delay u, Poisson arrivals of rate r and work without cost, each
// interrupt is for the first packet, which waits u, and r*u more on average, which wait u/2.
func TestCoalescing(t *testing.T) {
	const rate = 100_000
	for _, u := range []time.Duration{time.Microsecond, 8 * time.Microsecond, 64 * time.Microsecond, 256 * time.Microsecond} {
		config := server(t, 1024)
		config.Moderation = sim.Moderation{Delay: u}
		config.Duration = 300 * time.Millisecond
		more := rate * u.Seconds()
		replicate(func(seed uint64) float64 {
			r := run(t, config, poisson(t, seed, rate))
			if r.Latency.Max() > u {
				t.Errorf("delay %v: a packet waited %v; seed %d", u, r.Latency.Max(), seed)
			}
			return float64(r.Completed) / float64(r.Cores[0].Interrupts)
		}).agrees(t, "packets per interrupt", 1+more, 0.01)
		replicate(func(seed uint64) float64 {
			return run(t, config, poisson(t, seed, rate)).Latency.Mean()
		}).agrees(t, "mean wait", float64(u)*(1+more/2)/(1+more), 0.01)
	}
}

// TestFrames: the interrupt comes with the last of rx-frames packets, if they come in time.
func TestFrames(t *testing.T) {
	config := server(t, 1024)
	config.Moderation = sim.Moderation{Delay: time.Second, Frames: 25}
	r := run(t, config, spread(time.Microsecond, 1000))
	if r.Cores[0].Interrupts != 40 || r.Latency.Max() != 24*time.Microsecond || r.Latency.Min() != 0 {
		t.Errorf("%d interrupts, waits of %v to %v", r.Cores[0].Interrupts, r.Latency.Min(), r.Latency.Max())
	}
}

// TestCoalescingBound: below saturation no packet waits longer than the delay plus the
// costs of the interrupt, one poll and the packets before it. A single packet takes exactly
// that.
func TestCoalescingBound(t *testing.T) {
	config := server(t, 1024)
	config.Moderation = sim.Moderation{Delay: 50 * time.Microsecond, Frames: 16}
	config.Costs = sim.Costs{Interrupt: 2 * time.Microsecond, Poll: 700, Packet: 900}
	alone := 50*time.Microsecond + 2*time.Microsecond + 700 + 900
	if r := run(t, config, spread(time.Millisecond, 50)); r.Latency.Min() != alone || r.Latency.Max() != alone {
		t.Errorf("alone: %v to %v, want %v", r.Latency.Min(), r.Latency.Max(), alone)
	}
	r := run(t, config, spread(10*time.Microsecond, 5000))
	bound := alone + 6*900 // 50 us of packets came before
	if r.Latency.Max() > bound || r.Latency.Min() < 2*time.Microsecond+700+900 {
		t.Errorf("in a row: %v to %v, want at most %v", r.Latency.Min(), r.Latency.Max(), bound)
	}
}

// TestAdaptive: with DIM a busy queue has fewer interrupts than with the default profile, and the settings are
// always those of a profile.
func TestAdaptive(t *testing.T) {
	config := machine(t, 1)
	config.Duration = time.Second
	fixed := run(t, config, poisson(t, 1, 300_000))
	config.Moderation.Adaptive = true
	adaptive := run(t, config, poisson(t, 1, 300_000))
	sums(t, adaptive)
	if adaptive.Cores[0].Interrupts >= fixed.Cores[0].Interrupts {
		t.Errorf("%d interrupts adaptive, %d with 8 us; seed 1", adaptive.Cores[0].Interrupts, fixed.Cores[0].Interrupts)
	}
	if m := adaptive.Queues[0].Moderation; !m.Adaptive || m.Frames != 256 || math.Log2(float64(m.Delay/time.Microsecond)) > 8 {
		t.Errorf("ended with %+v", m)
	}
}
