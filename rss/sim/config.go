package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"lbctl/rss"
)

// Config is a machine: a NIC, its cores, and the times that work takes on them. Default returns
// one; the zero value is not valid.
type Config struct {
	Mode Mode
	// Table is the NIC's indirection table. Every queue it names has a core.
	Table rss.Table
	// Cores says for each queue which core takes its interrupts and runs the application
	// of its packets. Cores are numbered from 0, without gaps; several queues may share one.
	Cores []int
	// Ring is the capacity of a queue's ring in packets, including the one being processed: 1 to MaxRing.
	// (ethtool -G IFACE rx RING)
	Ring int
	// Socket is the capacity of a core's socket in packets, excluding the one that the application
	// processes: 1 to MaxRing.
	Socket     int
	Moderation Moderation
	Costs      Costs
	Budget     Budget
	Scheduler  Scheduler
	// BusyPoll is how long the application polls without finding a packet before it sleeps (SO_BUSY_POLL),
	// in ModeBusyPoll; above 0 there.
	BusyPoll time.Duration
	// Warmup is when counting begins: packets that arrive and time that passes before are
	// simulated but not counted.
	Warmup time.Duration
	// Duration is when arrivals end; 0 is the time of the last arrival. The simulation
	// goes on until every packet is delivered.
	Duration time.Duration
}

// MaxRing bounds rings and sockets: 65536 packets, 1 MiB each.
const MaxRing = 1 << 16

// Moderation is a queue's interrupt moderation: the interrupt waits until Delay or
// Frames is reached, whichever is first. The zero value interrupts at once.
type Moderation struct {
	// Delay is counted from the first packet after the interrupt was unmasked
	// (ethtool -C IFACE rx-usecs). 0 interrupts at once; it is at most a second.
	Delay time.Duration
	// Frames is the number of packets that end the wait (rx-frames); 0 or more, 0 for no
	// such limit. Above 1 it needs a Delay, without which the last packets would wait forever.
	Frames int
	// Adaptive lets DIM choose both (adaptive-rx), beginning with its default profile.
	Adaptive bool
}

// Costs are the times that a core spends. All are at least 0 and at most a second.
type Costs struct {
	// Interrupt is for each hard interrupt: entry, handler, exit.
	Interrupt time.Duration
	// Poll is for each call of a queue's poll function, empty ones included.
	Poll time.Duration
	// Packet is for the packet work of each packet: driver and protocols up to the socket; PerKiB is added for each
	// 1024 bytes of the frame.
	Packet, PerKiB time.Duration
	// Application is for each packet in the application. 0: there is no application, and a packet is
	// delivered when its packet work is done.
	Application time.Duration
	// Switch is for each switch to another thread; switching to idle costs nothing.
	Switch time.Duration
}

// Budget bounds NAPI's work.
type Budget struct {
	// Poll is the most packets of one poll: 64 (NAPI_POLL_WEIGHT).
	Poll int
	// Round and RoundTime end a round of polls: 300 packets (net.core.netdev_budget), 2 ms
	// (net.core.netdev_budget_usecs, and MAX_SOFTIRQ_TIME over all rounds).
	Round     int
	RoundTime time.Duration
	// Rounds is the number of rounds before ksoftirqd is woken: 10 (MAX_SOFTIRQ_RESTART).
	Rounds int
	// BusyPoll is the most packets of one poll by the application: 8
	// (BUSY_POLL_BUDGET).
	BusyPoll int
}

// Scheduler shares a core between the application and ksoftirqd when both have work.
type Scheduler struct {
	// Slice is how long a thread runs before the other may preempt it.
	Slice time.Duration
	// Share is the application's share of the time, in percent, 1 to 99.
	Share int
}

// Default returns a machine with 1 to rss.MaxQueues queues, each with a core of its own.
//
// Limits are the kernel's; moderation is DIM's default profile (8 us, 256 frames). A socket
// of net.core.rmem_default, 212992 bytes, holds about 256 small packets
// (truesize 768). The slice is sysctl_sched_base_slice of 0.7 ms times four, its value from 8
// cores on. The costs are assumptions: round figures of the right order for a
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

// Capacity returns the number of packets of a length in bytes that the cores could process per second if
// they did only packet work and application, without interrupts, polls or context switches, and
// evenly spread. It is infinite when both cost nothing. A load of 1 is this rate.
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

// Mode is how packets come from the ring to the application.
type Mode string

const (
	// ModeInterrupt raises an interrupt for every packet and does its packet work in it.
	// Moderation and Budget are ignored.
	ModeInterrupt Mode = "interrupt"
	// ModeNAPI polls in softirq context after an interrupt, and leaves to ksoftirqd the work that
	// exceeds the budget: Linux's default.
	ModeNAPI Mode = "napi"
	// ModeThreaded polls in a thread from the first packet on, which shares the core with the
	// application: /sys/class/net/IFACE/threaded. The thread is accounted as ksoftirqd.
	ModeThreaded Mode = "threaded"
	// ModeBusyPoll has the application poll its core's rings itself while it is awake, with
	// interrupts masked: SO_PREFER_BUSY_POLL, with napi_defer_hard_irqs and a
	// gro_flush_timeout that does not expire (Documentation/networking/napi.rst). A sleeping application is woken as in
	// ModeNAPI.
	ModeBusyPoll Mode = "busypoll"
)

// Modes returns all modes, the oldest first.
func Modes() []Mode { return []Mode{ModeInterrupt, ModeNAPI, ModeThreaded, ModeBusyPoll} }

// ParseMode reads the name of a mode.
func ParseMode(s string) (Mode, error) {
	if slices.Contains(Modes(), Mode(s)) {
		return Mode(s), nil
	}
	names := make([]string, len(Modes()))
	for i, m := range Modes() {
		names[i] = string(m)
	}
	return "", fmt.Errorf("mode %q is not known: want one of %s", s, strings.Join(names, ", "))
}
