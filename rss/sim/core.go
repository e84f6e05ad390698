package sim

import "time"

// activity is what a core does at a moment.
type activity uint8

const (
	idle activity = iota
	// hard is a hard interrupt; in ModeInterrupt with the packet work of one packet in it.
	hard
	// soft is packet work in softirq context, daemon in ksoftirqd.
	soft
	daemon
	// busy is packet work by the application, spin its polling for nothing.
	busy
	spin
	application
	// switching is a context switch.
	switching
	activities
)

// core is a processor: one activity at a time, for a time that is known when it begins.
type core struct {
	*machine
	index, timer int32
	doing        activity
	// until is when it ends, but for interrupts; since is from when it is not yet accounted.
	until, since time.Duration
	spent        [activities]time.Duration
	count        coreCount
	// queues are those of this core.
	queues []*queue
	threads
	softirq
	poller
}

// coreCount is what is counted of a core.
type coreCount struct{ interrupts, polls, packets, switches, delivered uint64 }

// begin starts an activity that takes a time, or never ends by itself.
func (c *core) begin(a activity, now, takes time.Duration) {
	c.account(now)
	c.doing = a
	c.until = never
	if takes != never {
		c.until = now + takes
	}
	c.agenda.set(c.timer, c.until)
}

// account books the time up to now on what was done.
func (c *core) account(now time.Duration) {
	spent := now - c.since
	c.since = now
	c.spent[c.doing] += spent
	c.threads.account(c.doing, spent)
}

// interrupt is a hard interrupt that makes a queue pending.
func (c *core) interrupt(now time.Duration) {
	c.count.interrupts++
	c.raised = true
	if c.preempt(now) {
		c.begin(hard, now, c.config.Costs.Interrupt)
		return
	}
	// Other interrupts, softirqs and the kernel's threads only take longer by it.
	c.account(now)
	c.spent[hard] += c.config.Costs.Interrupt
	c.since += c.config.Costs.Interrupt
	c.until += c.config.Costs.Interrupt
	c.agenda.set(c.timer, c.until)
}

// preempt puts aside what an interrupt comes before, to be continued after it.
func (c *core) preempt(now time.Duration) bool {
	switch c.doing {
	case application:
		c.left += c.until - now
	case switching:
		c.owed = c.until - now
	case idle, spin:
	default:
		return false
	}
	return true
}

// notice is told of every packet that enters a ring.
func (c *core) notice(q *queue, now time.Duration) {
	switch {
	case c.config.Mode == ModeInterrupt:
		c.perPacket(q, now)
	case c.awake:
		if c.doing == spin {
			c.spinUntilSeen(now)
		}
	case !q.masked:
		q.moderate(now)
	}
}

// ends is called when the activity is over.
func (c *core) ends(now time.Duration) {
	switch c.doing {
	case hard:
		c.hardEnds(now)
	case soft, daemon, busy:
		c.workEnds(now)
	case spin:
		c.spinEnds(now)
	case application:
		c.applicationEnds(now)
	case switching:
		c.resume(now)
	}
}

// packetWork returns what the packet work of a packet costs.
func (c *core) packetWork(p *packet) time.Duration {
	return c.config.Costs.Packet + c.config.Costs.PerKiB*time.Duration(p.length)/1024
}
