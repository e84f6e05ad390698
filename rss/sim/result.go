package sim

import (
	"time"

	"lbctl/rss"
)

// Result is the outcome of a run. Packets are counted if they arrived in the window, whenever they
// were delivered; time, interrupts, polls, switches and completions if they were in the window.
type Result struct {
	// Window is the time from the end of the warm-up to the end of arrivals.
	Window time.Duration
	// Events is the number of arrivals and timer events simulated, warm-up included.
	Events uint64
	// Offered is Delivered + RingDrops + SocketDrops.
	Offered, Delivered, RingDrops, SocketDrops uint64
	// Completed is the number of packets delivered within the window, whenever they arrived.
	Completed uint64
	// Latency is the time from arrival to delivery of the packets Delivered.
	Latency *Histogram
	Cores   []Core
	Queues  []Queue
}

// Core is what a core did in the window. The times sum to Result.Window.
type Core struct {
	Index int
	// Interrupt is the time in hard interrupts; Softirq, Ksoftirqd and BusyPoll are the time of polls and
	// packet work by context; Spin is polling without packets.
	Interrupt, Softirq, Ksoftirqd, BusyPoll, Spin time.Duration
	Application, Switching, Idle                  time.Duration
	// Polls excludes those while spinning. Packets is the number of packets whose packet work was done, Completed
	// of those delivered. Switches includes switches to idle, as ctxt in /proc/stat does.
	Interrupts, Polls, Packets, Switches, Completed uint64
}

// Queue is the packets of a queue in the window.
type Queue struct {
	Index rss.Queue
	Core  int
	// Offered is Delivered + RingDrops + SocketDrops.
	Offered, Delivered, RingDrops, SocketDrops uint64
	Interrupts                                 uint64
	// Highest is the greatest number of packets in the ring during the whole run.
	Highest int
	// Moderation is the one at the end.
	Moderation Moderation
	Latency    *Histogram
}

// result returns the counters of the window. addPackets adds those of packets when all are delivered.
func (m *machine) result(end time.Duration) Result {
	r := Result{Window: max(end-m.config.Warmup, 0)}
	for i := range m.cores {
		core := m.cores[i].result(end)
		r.Completed += core.Completed
		r.Cores = append(r.Cores, core)
	}
	for i := range m.queues {
		q := &m.queues[i]
		r.Queues = append(r.Queues, Queue{
			Index: rss.Queue(i), Core: int(q.core.index), Moderation: q.moderation,
			Interrupts: q.count.interrupts - q.count.interruptsBefore,
		})
	}
	return r
}

func (c *core) result(end time.Duration) Core {
	ahead := c.accountTo(end)
	return Core{
		Index:     int(c.index),
		Interrupt: c.spent[hard] - ahead, Softirq: c.spent[soft], Ksoftirqd: c.spent[daemon],
		BusyPoll: c.spent[busy], Spin: c.spent[spin],
		Application: c.spent[application], Switching: c.spent[switching], Idle: c.spent[idle],
		Interrupts: c.count.interrupts, Polls: c.count.polls, Packets: c.count.packets, Switches: c.count.switches, Completed: c.count.delivered,
	}
}

// addPackets adds the counters of packets.
func (m *machine) addPackets(r *Result) {
	r.Events, r.Latency = m.events, NewHistogram()
	for i := range m.queues {
		count, q := &m.queues[i].count, &r.Queues[i]
		q.Offered, q.Delivered, q.RingDrops, q.SocketDrops = count.offered, count.delivered, count.ringDrops, count.socketDrops
		q.Highest, q.Latency = count.highest, m.queues[i].latency
		r.Offered += q.Offered
		r.Delivered += q.Delivered
		r.RingDrops += q.RingDrops
		r.SocketDrops += q.SocketDrops
		r.Latency.Add(q.Latency)
	}
}
