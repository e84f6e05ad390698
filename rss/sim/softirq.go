package sim

import (
	"time"
)

// softirq is the state of a core's packet work.
type softirq struct {
	// pending is the poll list: the indexes of queues, each at most once.
	pending fifo[int32]
	// raised is true when a queue became pending and no softirq has run since.
	raised bool
	// deferred is true when ksoftirqd, or the NAPI thread, has work.
	deferred bool
	// polled is the queue being polled; taken is true while a packet of it is processed, false
	// during the overhead of the poll.
	polled *queue
	taken  bool
	// pollLeft and roundLeft are the packets left in the budgets, roundsLeft the rounds.
	pollLeft, roundLeft, roundsLeft int
	// roundEnd and end are when the time of the round and of all rounds is over.
	roundEnd, end time.Duration
}

// startRounds begins packet work, in softirq context or in ksoftirqd: handle_softirqs.
func (c *core) startRounds(as activity, now time.Duration) {
	c.raised = false
	c.roundsLeft = c.config.Budget.Rounds
	c.end = now + c.config.Budget.RoundTime
	c.startRound(as, now)
}

// startRound is net_rx_action.
func (c *core) startRound(as activity, now time.Duration) {
	c.roundsLeft--
	c.roundLeft = c.config.Budget.Round
	c.roundEnd = now + c.config.Budget.RoundTime
	c.poll(as, c.queue(c.pending.pop()), c.config.Budget.Poll, now)
}

// poll calls a queue's poll function.
func (c *core) poll(as activity, q *queue, budget int, now time.Duration) {
	c.polled, c.pollLeft, c.taken = q, budget, false
	c.count.polls++
	c.begin(as, now, c.config.Costs.Poll)
}

// workEnds continues a poll after its overhead or after one packet.
func (c *core) workEnds(now time.Duration) {
	q := c.polled
	if c.taken {
		c.finish(q, now)
		c.pollLeft--
		c.roundLeft--
	}
	if c.taken = c.pollLeft > 0 && !q.ring.empty(); c.taken {
		c.begin(c.doing, now, c.packetWork(q.ring.front()))
		return
	}
	if c.doing == busy {
		c.resume(now)
		return
	}
	c.pollEnds(q, now)
}

// pollEnds completes a queue that had fewer packets than the budget, and otherwise puts it at the end of the poll
// list. An application that polls takes over the rest (__napi_poll, napi_prefer_busy_poll).
func (c *core) pollEnds(q *queue, now time.Duration) {
	if c.pollLeft > 0 || c.awake {
		q.complete(now)
	} else {
		c.pending.push(q.index)
	}
	switch {
	case c.pending.empty():
		c.raised, c.deferred = false, false
		c.resume(now)
	case c.roundLeft > 0 && now < c.roundEnd:
		c.poll(c.doing, c.queue(c.pending.pop()), c.config.Budget.Poll, now)
	default:
		c.roundEnds(now)
	}
}

// roundEnds starts another round, or leaves the rest to ksoftirqd when the rounds are used up or another thread is
// due.
func (c *core) roundEnds(now time.Duration) {
	c.account(now)
	if now < c.end && c.roundsLeft > 0 && c.pick() == c.thread {
		c.startRound(c.doing, now)
		return
	}
	c.raised = false
	c.deferWork()
	c.resume(now)
}

// finish ends the packet work of a packet: it moves from the ring to the socket, or is
// delivered if there is no application.
func (c *core) finish(q *queue, now time.Duration) {
	p := q.ring.pop()
	c.count.packets++
	q.count.packets++
	q.count.bytes += uint64(p.length)
	c.wake()
	switch {
	case c.config.Costs.Application == 0:
		c.deliver(p, now)
	case c.socket.full():
		c.inside--
		if p.at >= c.config.Warmup {
			q.count.socketDrops++
		}
	default:
		c.socket.push(p)
	}
}

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
