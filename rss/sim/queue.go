package sim

import "time"

// queue is a receive queue: its ring and the state of its interrupt.
type queue struct {
	core *core
	// index is the queue's number, timer that of its moderation timer.
	index, timer int32
	ring         fifo[packet]
	// masked: the interrupt is off, from the moment it fires until NAPI is complete. (And all of a
	// core's are while its application is awake to poll.)
	masked bool
	// owned: the queue is on a poll list, or being polled from one.
	owned bool
	// waiting is the number of packets that the interrupt has waited for so far.
	waiting int
	// moderation is in force; DIM changes it.
	moderation Moderation
	dim        dim
	count      queueCount
	latency    *Histogram
}

// queueCount is what is counted of a queue.
type queueCount struct {
	offered, delivered, ringDrops, socketDrops uint64
	// interrupts, packets and bytes are since the start; DIM reads them.
	interrupts, packets, bytes uint64
	// interruptsBefore is interrupts when the window began.
	interruptsBefore uint64
	highest          int
}

// arrive takes a packet from the classifier into the ring, or drops it.
func (q *queue) arrive(p packet, counted bool) (dropped bool) {
	if counted {
		q.count.offered++
	}
	if q.ring.full() {
		if counted {
			q.count.ringDrops++
		}
		return true
	}
	q.ring.push(p)
	q.count.highest = max(q.count.highest, q.ring.len())
	q.core.notice(q, p.at)
	return false
}

// moderate counts a packet that came while the interrupt is not masked, and interrupts
// when it is time to.
func (q *queue) moderate(now time.Duration) {
	q.waiting++
	m := &q.moderation
	if m.Delay == 0 || (m.Frames > 0 && q.waiting >= m.Frames) {
		q.fire(now)
	} else if q.waiting == 1 {
		q.core.agenda.set(q.timer, now+m.Delay)
	}
}

// fire raises the interrupt, which masks it.
func (q *queue) fire(now time.Duration) {
	q.mask()
	q.owned = true
	q.count.interrupts++
	q.core.pending.push(q.index)
	q.core.interrupt(now)
}

// mask turns the interrupt off, and the moderation timer.
func (q *queue) mask() {
	q.masked = true
	if q.waiting > 0 {
		q.waiting = 0
		q.core.agenda.set(q.timer, never)
	}
}

// complete ends the polling of a queue: napi_complete_done. Its ring is empty, unless the
// application is awake to poll it.
func (q *queue) complete(now time.Duration) {
	q.owned, q.masked = false, false
	if q.moderation.Adaptive {
		q.adapt(now)
	}
}
