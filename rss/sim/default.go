package sim

import (
	"time"

	"lbctl/rss"
)

// Default returns a machine with 1 to rss.MaxQueues queues, each with a core of its own.
//
// Limits are the kernel's, moderation is DIM's first profile (8 us, 256 frames). A socket
// of 256 packets is what net.core.rmem_default, 212992 bytes, holds of small ones
// (truesize 768). The slice is sysctl_sched_base_slice of 0.7 ms, times four as from 8
// cores on. The costs are assumed: round figures of the order that such work takes on a
// server of the 2020s at 3 GHz. Measure and set your own where their ratio matters.
func Default(queues int) (Config, error) {
	table, err := rss.EqualTable(128, queues)
	if err != nil {
		return Config{}, err
	}
	return Config{
		Mode: ModeNAPI, Table: table, Cores: Spread(queues, queues),
		Ring: 1024, Socket: 256,
		Moderation: Moderation{Delay: 8 * time.Microsecond, Frames: 256},
		Costs: Costs{
			Interrupt: 1500 * time.Nanosecond, Poll: 300 * time.Nanosecond,
			Packet: 500 * time.Nanosecond, PerKiB: 50 * time.Nanosecond,
			Application: 1000 * time.Nanosecond, Switch: 1500 * time.Nanosecond,
		},
		Budget:    Budget{Poll: 64, Round: 300, RoundTime: 2 * time.Millisecond, Rounds: 10, BusyPoll: 8},
		Scheduler: Scheduler{Slice: 2800 * time.Microsecond, Share: 50},
		BusyPoll:  50 * time.Microsecond,
	}, nil
}

// Spread maps queues to cores in turn: queue i to core i modulo cores. Both are at least 1;
// cores that would have no queue are left out.
func Spread(queues, cores int) []int {
	of := make([]int, queues)
	for i := range of {
		of[i] = i % cores
	}
	return of
}

// Capacity returns how many packets of a length in bytes the cores could work off per second if
// they did nothing but packet work and application: no interrupts, polls or context switches, and
// an even spread. It is infinite when both cost nothing. A load of 1 is this rate.
func (c Config) Capacity(length float64) float64 {
	work := float64(c.Costs.Packet+c.Costs.Application) + float64(c.Costs.PerKiB)*length/1024
	return float64(c.cores()) * float64(time.Second) / work
}

// cores returns the number of cores.
func (c Config) cores() int {
	n := 0
	for _, core := range c.Cores {
		n = max(n, core+1)
	}
	return n
}
