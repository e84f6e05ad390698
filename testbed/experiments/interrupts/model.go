package interrupts

import (
	"context"
	"iter"
	"math/rand/v2"
	"time"

	"lbctl/rss/sim"
)

// Goodput is what the model's application finishes at a load, both as shares of the core's capacity.
type Goodput struct{ Load, Finished float64 }

// modelled are the modes of the model: an interrupt for every packet, which does the packet's work; an interrupt that
// schedules polls in a softirq, or in a thread; polling by the application.
func modelled() []sim.Mode {
	return []sim.Mode{sim.ModeInterrupt, sim.ModeNAPI, sim.ModeThreaded, sim.ModeBusyPoll}
}

// modelCosts are those of the model's packets. Their ratio gives the curve its shape, the same for a machine that is ten
// times as fast.
func modelCosts() sim.Costs {
	return sim.Costs{Interrupt: 2 * time.Microsecond, Packet: time.Microsecond, Application: 2 * time.Microsecond}
}

// loads are those of the model, up to overload.
func loads() []float64 {
	return []float64{0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, overload}
}

// overload is twice the load at which the kernel's work on packets alone fills the core.
const overload = 6

// model simulates a core and a NIC's queue under Poisson arrivals of rising load.
func model(ctx context.Context, random *rand.Rand, mode sim.Mode, costs sim.Costs) (curve []Goodput, err error) {
	c, err := sim.Default(1)
	if err != nil {
		return nil, err
	}
	c.Mode, c.Costs, c.Moderation = mode, costs, sim.Moderation{}
	c.Socket = 1 << 14 // more than a turn of ksoftirqd brings
	c.Warmup, c.Duration = 50*time.Millisecond, 150*time.Millisecond
	for _, load := range loads() {
		result, err := sim.Run(ctx, c, poisson(random, load*c.Capacity(0)))
		if err != nil {
			return nil, err
		}
		curve = append(curve, Goodput{load, float64(result.Completed) / result.Window.Seconds() / c.Capacity(0)})
	}
	return curve, nil
}

// poisson is an endless stream of packets at a rate per second.
func poisson(random *rand.Rand, rate float64) iter.Seq[sim.Arrival] {
	return func(yield func(sim.Arrival) bool) {
		at := 0.0
		for yield(sim.Arrival{At: time.Duration(at * float64(time.Second))}) {
			at += random.ExpFloat64() / rate
		}
	}
}
