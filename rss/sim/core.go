package sim

import (
	"time"
)

// activity is what a core does at one time.
type activity uint8

const (
	idle activity = iota
	// hard is a hard interrupt; in ModeInterrupt it includes the packet work of one packet.
	hard
	// soft is packet work in softirq context, daemon in ksoftirqd.
	soft
	daemon
	// busy is packet work by the application, spin its polling without packets.
	busy
	spin
	application
	// switching is a context switch.
	switching
	activities
)

// core is a processor. It does one activity at a time, whose end is known when it begins.
type core struct {
	*machine
	index, timer int32
	doing        activity
	// until is when the activity ends unless interrupted; since is the time up to which it is accounted.
	until, since time.Duration
	spent        [activities]time.Duration
	count        coreCount
	// queues are those of this core.
	queues []*queue
	threads
	softirq
	poller
}

// coreCount are the counters of a core.
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

// account adds the time up to now to the current activity.
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
	// It lengthens other interrupts, softirqs and kernel threads.
	c.account(now)
	c.spent[hard] += c.config.Costs.Interrupt
	c.since += c.config.Costs.Interrupt
	c.until += c.config.Costs.Interrupt
	c.agenda.set(c.timer, c.until)
}

// preempt suspends the current activity for an interrupt. It returns false for activities that an interrupt only
// lengthens.
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

// notice is called for every packet that enters a ring.
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

// packetWork returns the cost of the packet work of a packet.
func (c *core) packetWork(p *packet) time.Duration {
	return c.config.Costs.Packet + c.config.Costs.PerKiB*time.Duration(p.length)/1024
}

// perPacket interrupts for a packet, in ModeInterrupt. If the core is in an interrupt
// already, the new one follows it.
func (c *core) perPacket(q *queue, now time.Duration) {
	if !q.owned {
		q.owned = true
		c.pending.push(q.index)
	}
	if c.preempt(now) {
		c.nextInterrupt(now)
	}
}

// nextInterrupt handles the first packet of the next pending queue.
func (c *core) nextInterrupt(now time.Duration) {
	q := c.queue(c.pending.pop())
	c.polled = q
	c.count.interrupts++
	q.count.interrupts++
	c.begin(hard, now, c.config.Costs.Interrupt+c.packetWork(q.ring.front()))
}

// hardEnds continues after an interrupt with the next one, then with softirqs, then with the thread that
// should run.
func (c *core) hardEnds(now time.Duration) {
	if c.config.Mode != ModeInterrupt {
		c.resume(now)
		return
	}
	q := c.polled
	c.finish(q, now)
	if q.owned = !q.ring.empty(); q.owned {
		c.pending.push(q.index)
	}
	if c.pending.empty() {
		c.resume(now)
		return
	}
	c.nextInterrupt(now)
}
