package sim

import "time"

// poller is the state of an application that polls, in ModeBusyPoll.
type poller struct {
	// awake is true while it works or spins; interrupts of its queues stay masked.
	awake bool
	// next is the index in queues of the queue to poll first.
	next int
	// began is when it began to spin, gives when it gives up.
	began, gives time.Duration
}

// pollOrSpin polls a ring that has packets, or spins until one comes. Empty polls are
// not simulated one by one.
func (c *core) pollOrSpin(now time.Duration) {
	if q := c.ready(); q != nil {
		q.mask()
		c.poll(busy, q, c.config.Budget.BusyPoll, now)
		return
	}
	takes := c.config.BusyPoll
	if c.deferred {
		takes = min(takes, max(c.config.Scheduler.Slice-c.ran, 1))
	}
	c.began, c.gives = now, now+c.config.BusyPoll
	c.begin(spin, now, takes)
}

// ready returns the next queue in turn that has packets and is not on a poll list, or nil.
func (c *core) ready() *queue {
	for i := range c.queues {
		place := (c.next + i) % len(c.queues)
		if q := c.queues[place]; !q.owned && !q.ring.empty() {
			c.next = place + 1
			return q
		}
	}
	return nil
}

// spinUntilSeen ends the spinning at the end of the current empty poll, because the next
// one will find the packet that came now.
func (c *core) spinUntilSeen(now time.Duration) {
	seen := now
	if poll := c.config.Costs.Poll; poll > 0 {
		seen = c.began + (now-c.began+poll-1)/poll*poll
	}
	if seen < c.until {
		c.until = seen
		c.agenda.set(c.timer, seen)
	}
}

// spinEnds continues with a packet or another thread, or lets the application sleep and unmasks
// interrupts.
func (c *core) spinEnds(now time.Duration) {
	if now >= c.gives && c.ready() == nil {
		c.awake = false
		for _, q := range c.queues {
			q.masked = q.owned
		}
	}
	c.resume(now)
}
