package sim

import (
	"time"
)

// queue is a receive queue: its ring and the state of its interrupt.
type queue struct {
	core *core
	// index is the queue's number, timer that of its moderation timer.
	index, timer int32
	ring         fifo[packet]
	// masked is true while the interrupt is off: from the moment it fires until NAPI is complete, and while the
	// application is awake to poll.
	masked bool
	// owned is true while the queue is on a poll list or being polled from one.
	owned bool
	// waiting is the number of packets that have come while the interrupt is delayed.
	waiting int
	// moderation is the current one; DIM changes it.
	moderation Moderation
	dim        dim
	count      queueCount
	latency    *Histogram
}

// queueCount are the counters of a queue.
type queueCount struct {
	offered, delivered, ringDrops, socketDrops uint64
	// interrupts, packets and bytes are since the start; DIM reads them.
	interrupts, packets, bytes uint64
	// interruptsBefore is the value of interrupts when the window began.
	interruptsBefore uint64
	highest          int
}

// arrive puts a packet into the ring, or drops it.
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

// moderate counts a packet that came while the interrupt is not masked, and interrupts or starts the moderation
// timer.
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

// mask turns off the interrupt and the moderation timer.
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

// fifo is a ring buffer. The zero value has no capacity.
type fifo[T any] struct {
	// room has a power of two of elements, of which limit may be used.
	room  []T
	limit int
	// head is the position of the first element, tail of the next one; both only grow.
	head, tail uint
}

// newFIFO returns a buffer for up to limit elements, at least 1.
func newFIFO[T any](limit int) fifo[T] {
	size := 1
	for size < limit {
		size *= 2
	}
	return fifo[T]{room: make([]T, size), limit: limit}
}

func (f *fifo[T]) len() int    { return int(f.tail - f.head) }
func (f *fifo[T]) empty() bool { return f.tail == f.head }
func (f *fifo[T]) full() bool  { return f.len() == f.limit }

// front returns the first element; the buffer is not empty.
func (f *fifo[T]) front() *T { return &f.room[f.head&uint(len(f.room)-1)] }

// push appends an element; the buffer is not full.
func (f *fifo[T]) push(v T) {
	f.room[f.tail&uint(len(f.room)-1)] = v
	f.tail++
}

// pop removes and returns the first element; the buffer is not empty.
func (f *fifo[T]) pop() T {
	v := *f.front()
	f.head++
	return v
}
