package sim_test

import (
	"testing"
	"time"

	"lbctl/rss/sim"
	"lbctl/rss/sim/load"
)

// BenchmarkRun reports events per second, traffic included: arrivals and timers.
func BenchmarkRun(b *testing.B) {
	for _, c := range []struct {
		name   string
		mode   sim.Mode
		queues int
		load   float64
	}{
		{"napi/1-queue", sim.ModeNAPI, 1, 0.5},
		{"napi/16-queues", sim.ModeNAPI, 16, 0.5},
		{"napi/128-queues", sim.ModeNAPI, 128, 0.5},
		{"napi/16-queues/overload", sim.ModeNAPI, 16, 2},
		{"interrupt/16-queues", sim.ModeInterrupt, 16, 0.3},
		{"busypoll/16-queues", sim.ModeBusyPoll, 16, 0.5},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			config := machine(b, c.queues)
			config.Mode, config.Duration = c.mode, 50*time.Millisecond
			events := uint64(0)
			l := traffic(b, c.queues, load.Config{Seed: 1, Rate: c.load * config.Capacity(64), Timing: load.Poisson, Choice: load.Uniform, Flows: 10000, Lengths: load.Fixed(64)})
			for b.Loop() {
				r, err := sim.Run(b.Context(), config, l.Arrivals())
				if err != nil {
					b.Fatal(err)
				}
				events += r.Events
			}
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
