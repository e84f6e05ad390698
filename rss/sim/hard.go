package sim

import "time"

// perPacket interrupts for a packet, in ModeInterrupt: unless the core is in an interrupt
// already, after which this one comes at once.
func (c *core) perPacket(q *queue, now time.Duration) {
	if !q.owned {
		q.owned = true
		c.pending.push(q.index)
	}
	if c.preempt(now) {
		c.nextInterrupt(now)
	}
}

// nextInterrupt handles the first packet of the queue whose turn it is.
func (c *core) nextInterrupt(now time.Duration) {
	q := c.queue(c.pending.pop())
	c.polled = q
	c.count.interrupts++
	q.count.interrupts++
	c.begin(hard, now, c.config.Costs.Interrupt+c.packetWork(q.ring.front()))
}

// hardEnds: after the last interrupt come softirqs, and then the thread that was
// interrupted, or a better one.
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
