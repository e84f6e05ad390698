// Package sim is a discrete-event simulation of the receive side of a host: the rings of a NIC's
// queues, interrupts and their moderation, the kernel's packet work
// and the application's, on the same cores.
//
// A packet arrives with its RSS hash; the indirection table picks its queue. It
// waits in the queue's ring until the queue's core takes it out, by the rules of a
// Mode, and then in the socket of that core until the application has finished its
// work on it. The time from arrival to that moment is its latency. A packet that
// finds the ring or the socket full is dropped.
//
// The rules and names are Linux's:
//   - hard interrupts preempt everything else; a queue's interrupt stays masked
//     from the moment it fires until a poll finds the ring empty (NAPI,
//     net/core/dev.c napi_complete_done);
//   - a poll takes up to Budget.Poll packets, a round of polls ends after
//     Budget.Round packets or Budget.RoundTime (net_rx_action). After
//     Budget.Rounds rounds, or when another thread is due, ksoftirqd does the remaining work
//     (kernel/softirq.c handle_softirqs); it shares the core with the application;
//   - the application and ksoftirqd run in turns of Scheduler.Slice, by shares of the
//     core, and a thread that wakes waits for the end of the other's slice (an approximation of EEVDF with
//     RUN_TO_PARITY, kernel/sched/fair.c). So under overload the socket fills during one
//     slice and is emptied in the next; a small socket costs throughput;
//   - adaptive moderation is DIM (lib/dim/net_dim.c);
//   - ModeInterrupt is the scheme before NAPI: BSD's one interrupt per packet, which does the
//     packet work, as Mogul and Ramakrishnan describe ("Eliminating Receive
//     Livelock in an Interrupt-Driven Kernel", ACM TOCS 15(3), 1997).
//
// The model leaves out the bus and the caches (a cost is a constant, plus one per
// byte), the timer tick, GRO, RPS, the sender's reaction to loss, and more than one
// application thread per core. The costs are inputs: the simulation does not know
// those of a real machine.
//
// Time is virtual, a time.Duration since the start in whole nanoseconds. A run depends only on
// its Config and its arrivals. Runs may be concurrent.
package sim

import (
	"context"
	"fmt"
	"iter"
	"math"
	"time"
)

// Run simulates a machine under a stream of arrivals, to the end of config.Duration or of the
// stream, and then until every packet is delivered. An endless stream needs a Duration.
//
// It returns an error when the config is invalid (see Config.Validate), an arrival
// is earlier than the one before it or has an invalid length, or ctx is done.
func Run(ctx context.Context, config Config, arrivals iter.Seq[Arrival]) (Result, error) {
	if err := config.Validate(); err != nil {
		return Result{}, fmt.Errorf("set up simulation: %w", err)
	}
	m := newMachine(config)
	m.open = config.Warmup == 0
	end, err := m.feed(ctx, arrivals)
	if err != nil {
		return Result{}, err
	}
	if config.Duration > 0 {
		end = config.Duration
	}
	if end < config.Warmup {
		return Result{}, fmt.Errorf("simulate: the last arrival is at %v, before the warm-up of %v ends", end, config.Warmup)
	}
	m.pass(end)
	result := m.result(end)
	m.open = false
	m.drain()
	m.addPackets(&result)
	return result, nil
}

// feed simulates the arrivals and returns the time of the last.
func (m *machine) feed(ctx context.Context, arrivals iter.Seq[Arrival]) (last time.Duration, err error) {
	n := 0
	for a := range arrivals {
		if m.config.Duration > 0 && a.At >= m.config.Duration {
			break
		}
		if a.At < last {
			return 0, fmt.Errorf("take arrival %d: at %v, before the one ahead of it at %v", n, a.At, last)
		}
		if a.Length < 0 || a.Length > math.MaxInt32 {
			return 0, fmt.Errorf("take arrival %d: length of %d bytes", n, a.Length)
		}
		if n%4096 == 0 && ctx.Err() != nil {
			return 0, fmt.Errorf("simulate: %w", context.Cause(ctx))
		}
		last = a.At
		m.pass(a.At)
		m.arrive(a)
		n++
	}
	return last, nil
}

// pass advances to a time, and opens the window at the end of the warm-up.
func (m *machine) pass(to time.Duration) {
	if !m.open && to >= m.config.Warmup {
		m.advance(m.config.Warmup)
		m.openWindow()
	}
	m.advance(to)
}

// openWindow resets the counters at the end of the warm-up.
func (m *machine) openWindow() {
	m.open = true
	for i := range m.cores {
		c := &m.cores[i]
		ahead := c.accountTo(m.config.Warmup)
		c.spent, c.count = [activities]time.Duration{hard: ahead}, coreCount{}
	}
	for i := range m.queues {
		q := &m.queues[i].count
		q.interruptsBefore = q.interrupts
	}
}

// accountTo accounts up to the edge of the window. An interrupt that lengthens another activity
// is accounted when it begins; accountTo returns how much of it is after the edge.
func (c *core) accountTo(edge time.Duration) (ahead time.Duration) {
	if c.since > edge {
		return c.since - edge
	}
	c.account(edge)
	return 0
}
