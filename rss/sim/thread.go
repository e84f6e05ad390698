package sim

import "time"

// thread is the thread that runs on a core.
type thread uint8

const (
	idleThread thread = iota
	applicationThread
	daemonThread
	threadCount
)

// runsAs is the thread that an activity is charged to; interrupts are charged to none.
var runsAs = [activities]thread{application: applicationThread, busy: applicationThread, spin: applicationThread, daemon: daemonThread}

// threads is the state of a core's threads: the application and ksoftirqd.
type threads struct {
	// thread is the one that runs, or is interrupted.
	thread thread
	// virtual is the time that each thread had, weighted by its share; ran is the time of the current slice.
	virtual [threadCount]time.Duration
	ran     time.Duration
	weight  [threadCount]time.Duration
	// owed is the rest of an interrupted context switch.
	owed time.Duration
	// socket are the packets that wait for the application; hand is the packet it processes, while working.
	socket  fifo[packet]
	hand    packet
	working bool
	// left is the work that remains on hand after the current activity.
	left time.Duration
}

// account charges time to the thread of an activity.
func (t *threads) account(a activity, spent time.Duration) {
	of := runsAs[a]
	t.virtual[of] += spent * t.weight[of]
	if of != idleThread {
		t.ran += spent
	}
}

// runnable tells whether the application has something to do.
func (c *core) runnable() bool { return c.working || c.awake || !c.socket.empty() }

// wake is called before the application gets a packet. A thread that wakes starts with the virtual time of
// the other, so that it gets no credit for having slept.
func (c *core) wake() {
	if !c.runnable() {
		c.virtual[applicationThread] = max(c.virtual[applicationThread], c.virtual[daemonThread])
	}
	c.awake = c.config.Mode == ModeBusyPoll
}

// deferWork leaves the poll list to ksoftirqd.
func (c *core) deferWork() {
	if !c.deferred {
		c.deferred = true
		c.virtual[daemonThread] = max(c.virtual[applicationThread], c.virtual[daemonThread])
	}
}

// pick returns the thread that should run.
func (c *core) pick() thread {
	application := c.runnable()
	switch {
	case application && c.deferred:
		if c.thread != idleThread && c.ran < c.config.Scheduler.Slice {
			return c.thread
		}
		if c.virtual[daemonThread] < c.virtual[applicationThread] {
			return daemonThread
		}
		return applicationThread
	case application:
		return applicationThread
	case c.deferred:
		return daemonThread
	}
	return idleThread
}

// resume runs the softirqs that were raised, else the thread that should run.
func (c *core) resume(now time.Duration) {
	if c.raised && c.config.Mode != ModeThreaded {
		c.startRounds(soft, now)
		return
	}
	if c.raised {
		c.raised = false
		c.deferWork()
	}
	c.account(now)
	next := c.pick()
	if next != c.thread {
		c.count.switches++
		c.thread, c.owed, c.ran = next, c.config.Costs.Switch, 0
	} else if c.ran >= c.config.Scheduler.Slice {
		c.ran = 0
	}
	c.run(now)
}

// run continues the current thread.
func (c *core) run(now time.Duration) {
	switch {
	case c.thread == idleThread:
		c.begin(idle, now, never)
	case c.owed > 0:
		takes := c.owed
		c.owed = 0
		c.begin(switching, now, takes)
	case c.thread == daemonThread:
		c.startRounds(daemon, now)
	default:
		c.runApplication(now)
	}
}

// runApplication processes the packet in hand or the next one, until the end of the slice if
// another thread waits. Without a packet, which happens only in ModeBusyPoll, it polls.
func (c *core) runApplication(now time.Duration) {
	if !c.working {
		if c.socket.empty() {
			c.pollOrSpin(now)
			return
		}
		c.hand, c.working, c.left = c.socket.pop(), true, c.config.Costs.Application
	}
	takes := c.left
	if c.deferred {
		takes = min(takes, max(c.config.Scheduler.Slice-c.ran, 1))
	}
	c.left -= takes
	c.begin(application, now, takes)
}

// applicationEnds delivers the packet if its work is done, and continues.
func (c *core) applicationEnds(now time.Duration) {
	if c.left == 0 {
		c.working = false
		c.deliver(c.hand, now)
	}
	c.resume(now)
}
