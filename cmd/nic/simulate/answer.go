package simulate

import (
	"strconv"
	"time"

	"lbctl/rss"
	"lbctl/rss/sim"
)

// answer is what lbctl rss simulate prints. Scripts rely on its JSON names. Times are in nanoseconds,
// rates per second of virtual time, shares of the cores' time between 0 and 1.
type answer struct {
	Seed uint64 `json:"seed"`
	// Parameter is the flag that was swept, if any.
	Parameter string `json:"parameter,omitempty"`
	Runs      []run  `json:"runs"`
}

type run struct {
	Mode sim.Mode `json:"mode"`
	// Value is that of the swept flag.
	Value       *float64      `json:"value,omitempty"`
	Load        float64       `json:"load"`
	Rate        float64       `json:"rate"`
	Window      time.Duration `json:"window_ns"`
	Events      uint64        `json:"events"`
	Offered     uint64        `json:"offered"`
	Delivered   uint64        `json:"delivered"`
	RingDrops   uint64        `json:"ring_drops"`
	SocketDrops uint64        `json:"socket_drops"`
	Loss        float64       `json:"loss"`
	// Throughput is the number of packets delivered per second, within the window.
	Throughput float64 `json:"throughput"`
	Latency    latency `json:"latency_ns"`
	Interrupts float64 `json:"interrupts_per_second"`
	// PacketsPerInterrupt counts packets taken from rings.
	PacketsPerInterrupt float64 `json:"packets_per_interrupt"`
	Switches            float64 `json:"context_switches_per_second"`
	Time                shares  `json:"core_time"`
	Cores               []core  `json:"cores"`
	Queues              []queue `json:"queues"`
}

type latency struct {
	Mean float64       `json:"mean"`
	P50  time.Duration `json:"p50"`
	P99  time.Duration `json:"p99"`
	P999 time.Duration `json:"p999"`
	Max  time.Duration `json:"max"`
}

type shares struct {
	Interrupt   float64 `json:"interrupt"`
	Softirq     float64 `json:"softirq"`
	Ksoftirqd   float64 `json:"ksoftirqd"`
	BusyPoll    float64 `json:"busy_poll"`
	Spin        float64 `json:"spin"`
	Application float64 `json:"application"`
	Switching   float64 `json:"switching"`
	Idle        float64 `json:"idle"`
}

// packetWork is the share of packet work, in softirq, ksoftirqd and busy polling.
func (t shares) packetWork() float64 { return t.Softirq + t.Ksoftirqd + t.BusyPoll }

type core struct {
	Core       int     `json:"core"`
	Time       shares  `json:"core_time"`
	Throughput float64 `json:"throughput"`
	Interrupts float64 `json:"interrupts_per_second"`
	Polls      float64 `json:"polls_per_second"`
	Switches   float64 `json:"context_switches_per_second"`
}

type queue struct {
	Queue       rss.Queue `json:"queue"`
	Core        int       `json:"core"`
	Offered     uint64    `json:"offered"`
	Delivered   uint64    `json:"delivered"`
	RingDrops   uint64    `json:"ring_drops"`
	SocketDrops uint64    `json:"socket_drops"`
	Highest     int       `json:"ring_highest"`
	Interrupts  float64   `json:"interrupts_per_second"`
	Usecs       float64   `json:"rx_usecs"`
	Frames      int       `json:"rx_frames"`
	Latency     latency   `json:"latency_ns"`
}

func newRun(s machine, value string, r sim.Result) run {
	one := run{
		Mode: s.config.Mode, Load: s.load, Rate: s.rate, Window: r.Window, Events: r.Events,
		Offered: r.Offered, Delivered: r.Delivered, RingDrops: r.RingDrops, SocketDrops: r.SocketDrops,
		Throughput: float64(r.Completed) / r.Window.Seconds(), Latency: newLatency(r.Latency),
	}
	if v, err := strconv.ParseFloat(value, 64); err == nil {
		one.Value = &v
	}
	if r.Offered > 0 {
		one.Loss = float64(r.RingDrops+r.SocketDrops) / float64(r.Offered)
	}
	one.addCores(r)
	for _, q := range r.Queues {
		one.Queues = append(one.Queues, queue{
			Queue: q.Index, Core: q.Core, Offered: q.Offered, Delivered: q.Delivered, RingDrops: q.RingDrops,
			SocketDrops: q.SocketDrops, Highest: q.Highest, Interrupts: float64(q.Interrupts) / r.Window.Seconds(),
			Usecs: float64(q.Moderation.Delay) / 1e3, Frames: q.Moderation.Frames, Latency: newLatency(q.Latency),
		})
	}
	return one
}

// addCores adds the cores and what they sum to.
func (one *run) addCores(r sim.Result) {
	var all sim.Core
	seconds := r.Window.Seconds()
	for _, c := range r.Cores {
		one.Cores = append(one.Cores, core{
			Core: c.Index, Time: newShares(c, r.Window), Throughput: float64(c.Completed) / seconds,
			Interrupts: float64(c.Interrupts) / seconds, Polls: float64(c.Polls) / seconds, Switches: float64(c.Switches) / seconds,
		})
		all.Interrupt, all.Softirq, all.Ksoftirqd = all.Interrupt+c.Interrupt, all.Softirq+c.Softirq, all.Ksoftirqd+c.Ksoftirqd
		all.BusyPoll, all.Spin, all.Application = all.BusyPoll+c.BusyPoll, all.Spin+c.Spin, all.Application+c.Application
		all.Switching, all.Idle = all.Switching+c.Switching, all.Idle+c.Idle
		all.Interrupts, all.Packets, all.Switches = all.Interrupts+c.Interrupts, all.Packets+c.Packets, all.Switches+c.Switches
	}
	one.Time = newShares(all, r.Window*time.Duration(len(r.Cores)))
	one.Interrupts, one.Switches = float64(all.Interrupts)/seconds, float64(all.Switches)/seconds
	if all.Interrupts > 0 {
		one.PacketsPerInterrupt = float64(all.Packets) / float64(all.Interrupts)
	}
}

func newShares(c sim.Core, of time.Duration) shares {
	share := func(d time.Duration) float64 { return float64(d) / float64(of) }
	return shares{
		Interrupt: share(c.Interrupt), Softirq: share(c.Softirq), Ksoftirqd: share(c.Ksoftirqd), BusyPoll: share(c.BusyPoll),
		Spin: share(c.Spin), Application: share(c.Application), Switching: share(c.Switching), Idle: share(c.Idle),
	}
}

func newLatency(h *sim.Histogram) latency {
	return latency{Mean: h.Mean(), P50: h.Quantile(0.5), P99: h.Quantile(0.99), P999: h.Quantile(0.999), Max: h.Max()}
}
