package sim

import (
	"time"

	"lbctl/rss"
)

// machine is a simulation while it runs.
type machine struct {
	config Config
	agenda agenda
	queues []queue
	cores  []core
	// inside is the number of packets in rings, in sockets and in the application.
	inside int
	events uint64
	// open is true inside the window, in which time and completions are counted.
	open bool
}

// newMachine returns an idle machine for a valid config. The timers of the cores come first, so
// that at the same time an activity ends before an interrupt begins.
func newMachine(config Config) *machine {
	m := &machine{config: config, queues: make([]queue, len(config.Cores)), cores: make([]core, config.cores())}
	m.agenda = newAgenda(len(m.cores) + len(m.queues))
	for i := range m.cores {
		m.initCore(&m.cores[i], i)
	}
	for i := range m.queues {
		q := &m.queues[i]
		m.initQueue(q, i)
		q.core.queues = append(q.core.queues, q)
	}
	for i := range m.cores {
		c := &m.cores[i]
		c.pending = newFIFO[int32](len(c.queues))
	}
	return m
}

func (m *machine) initCore(c *core, index int) {
	share := time.Duration(m.config.Scheduler.Share)
	*c = core{machine: m, index: int32(index), timer: int32(index), until: never}
	c.socket = newFIFO[packet](m.config.Socket)
	// The thread with the larger share is charged less for the same time.
	c.weight = [threadCount]time.Duration{applicationThread: 100 - share, daemonThread: share}
}

func (m *machine) initQueue(q *queue, index int) {
	*q = queue{
		core: &m.cores[m.config.Cores[index]], index: int32(index), timer: int32(len(m.cores) + index),
		ring: newFIFO[packet](m.config.Ring), moderation: m.config.Moderation, latency: NewHistogram(),
	}
	if q.moderation.Adaptive {
		q.dim.profile = dimDefault
		q.moderation = dimProfiles[dimDefault]
	}
}

func (m *machine) queue(index int32) *queue { return &m.queues[index] }

// advance executes all events up to a time, inclusive.
func (m *machine) advance(to time.Duration) {
	for {
		timer, at := m.agenda.first()
		if at > to || at == never {
			return
		}
		m.happen(timer, at)
	}
}

// drain executes events until no packet is inside. It ends, because every packet inside is being processed or
// has a timer that leads to that.
func (m *machine) drain() {
	for m.inside > 0 {
		timer, at := m.agenda.first()
		if at == never {
			panic("sim: packets are inside and nothing is due")
		}
		m.happen(timer, at)
	}
}

// happen executes one event.
func (m *machine) happen(timer int32, at time.Duration) {
	m.events++
	if int(timer) < len(m.cores) {
		m.cores[timer].ends(at)
	} else {
		m.queues[int(timer)-len(m.cores)].fire(at)
	}
}

// arrive is the arrival of a packet.
func (m *machine) arrive(a Arrival) {
	m.events++
	index := int32(a.Queue)
	if a.Hashed {
		index = int32(m.config.Table.Queue(a.Hash))
	}
	p := packet{at: a.At, length: int32(a.Length), queue: index}
	m.inside++ // before the packet can be delivered, which may happen at once
	if m.queues[index].arrive(p, a.At >= m.config.Warmup) {
		m.inside--
	}
}

// deliver ends the processing of a packet.
func (c *core) deliver(p packet, now time.Duration) {
	c.inside--
	if c.open {
		c.count.delivered++
	}
	if p.at >= c.config.Warmup {
		q := c.queue(p.queue)
		q.count.delivered++
		q.latency.Record(now - p.at)
	}
}

// Arrival is a packet after the NIC's classifier. A stream of them, an
// iter.Seq[Arrival], drives a simulation; package rss/sim/load makes one from a description or a
// capture.
type Arrival struct {
	// At is the time since the start. It does not decrease from one arrival to the next.
	At time.Duration
	// Length is the length of the frame in bytes.
	Length int
	// Hash is the RSS hash. If Hashed is false it is ignored, and the queue is Queue.
	Hash   uint32
	Hashed bool
	Queue  rss.Queue
}

// packet is an arrival while it waits.
type packet struct {
	at     time.Duration
	length int32
	// queue is the index of its queue.
	queue int32
}
