package sim

import (
	"context"
	"fmt"
	"iter"
	"math"
	"time"
)

// Run simulates a machine under a stream of arrivals, to the end of config.Duration or of the
// stream, and then until no packet is left inside. An endless stream needs a Duration.
//
// It returns an error when the config is not valid (see Config.Validate), an arrival
// is earlier than the one before it or has an impossible length, or ctx is done.
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
	m.settle(&result)
	return result, nil
}

// feed takes the arrivals, and returns the time of the last.
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

// pass lets time pass, and opens the window in its turn.
func (m *machine) pass(to time.Duration) {
	if !m.open && to >= m.config.Warmup {
		m.advance(m.config.Warmup)
		m.openWindow()
	}
	m.advance(to)
}

// openWindow forgets what was counted during the warm-up.
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

// accountTo accounts to the edge of the window. An interrupt that lengthens another activity
// is accounted when it begins; it returns how much of that lies behind the edge.
func (c *core) accountTo(edge time.Duration) (ahead time.Duration) {
	if c.since > edge {
		return c.since - edge
	}
	c.account(edge)
	return 0
}
