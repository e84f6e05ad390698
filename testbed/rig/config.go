package rig

import (
	"errors"
	"fmt"
	"sync/atomic"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/testbed/netns"
)

// behaviour is how frames are classified for a period, and their counts. A new behaviour replaces it between two
// frames. Only the reader counts.
type behaviour struct {
	nic *nic.NIC
	// spray ignores the hash and goes round robin.
	spray  bool
	counts []count
	next   int
}

// count is what arrived for one queue. The padding keeps the counts of two queues on different cache lines.
type count struct {
	frames, bytes, drops atomic.Uint64
	_                    [40]byte
}

// queue returns the queue of a frame.
func (b *behaviour) queue(frame []byte) rss.Queue {
	if !b.spray {
		return b.nic.Classify(frame).Queue
	}
	b.next = (b.next + 1) % len(b.counts)
	return rss.Queue(b.next)
}

// SetTable rewrites the indirection table, between two frames. Frames that are in a
// ring stay there, as in a real NIC: until they are delivered, later frames of a flow whose queue changed may overtake them.
func (s *SoftNIC) SetTable(t rss.Table) error {
	if err := s.config.fits(t); err != nil {
		return fmt.Errorf("set indirection table: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.behaviour.Load()
	s.change(&behaviour{nic: now.nic.WithTable(t), spray: now.spray, counts: make([]count, s.config.Queues)})
	return nil
}

// SetNIC changes everything that classifies, the key too, between two frames.
func (s *SoftNIC) SetNIC(n *nic.NIC) error {
	if err := s.config.fits(n.Config().Table); err != nil {
		return fmt.Errorf("set nic: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change(&behaviour{nic: n, spray: s.behaviour.Load().spray, counts: make([]count, s.config.Queues)})
	return nil
}

// SetSpray makes the NIC ignore the hash and distribute frames round robin, or stop doing so.
func (s *SoftNIC) SetSpray(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.behaviour.Load()
	s.change(&behaviour{nic: now.nic, spray: on, counts: make([]count, s.config.Queues)})
}

// change puts a behaviour into effect.
func (s *SoftNIC) change(b *behaviour) {
	s.history = append(s.history, b)
	s.behaviour.Store(b)
}

// NIC returns the model that classifies now.
func (s *SoftNIC) NIC() *nic.NIC { return s.behaviour.Load().nic }

// QueueStats is what happened to the frames of one queue.
type QueueStats struct {
	// Frames and Bytes were put on the queue's ring; Drops found it full.
	Frames, Bytes, Drops uint64
}

// Stats are counters of a SoftNIC.
type Stats struct {
	// Queues is by queue number.
	Queues []QueueStats
	// Refused is how many frames the host's interface did not take.
	Refused uint64
	// Returned is how many frames went from the host to the wire, Lost those that the
	// wire's interface did not take.
	Returned, Lost uint64
}

// Stats returns the counters since the start.
func (s *SoftNIC) Stats() Stats {
	total := Stats{Queues: make([]QueueStats, s.config.Queues)}
	for _, period := range s.Periods() {
		for q, c := range period {
			total.Queues[q].Frames += c.Frames
			total.Queues[q].Bytes += c.Bytes
			total.Queues[q].Drops += c.Drops
		}
	}
	for _, w := range s.workers {
		total.Refused += w.refused.Load()
		total.Returned += w.returned.Load()
		total.Lost += w.lost.Load()
	}
	return total
}

// Periods returns the frames by queue of each period between two changes (SetTable, SetSpray), in the order of
// time: with one change there are two, before and after.
func (s *SoftNIC) Periods() [][]QueueStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	periods := make([][]QueueStats, len(s.history))
	for i, b := range s.history {
		for q := range b.counts {
			c := &b.counts[q]
			periods[i] = append(periods[i], QueueStats{
				Frames: c.frames.Load(), Bytes: c.bytes.Load(), Drops: c.drops.Load(),
			})
		}
	}
	return periods
}

// Config says which interfaces a SoftNIC has, and how it is built.
type Config struct {
	// Wire is the interface of the clients: the NIC receives what they send.
	Wire netns.End
	// Host is the interface of the balancer, which has Queues queues.
	Host netns.End
	// NIC classifies. Its table names queues below Queues.
	NIC *nic.NIC
	// Queues is the number of receive queues, 1 to 256; 0: as many as the NIC's table names.
	Queues int
	// Ring is the number of frames that each queue's ring holds; 0: DefaultRing.
	Ring int
	// MTU is that of both interfaces; 0: netns.DefaultMTU. Native XDP on a TAP allows at
	// most some 3,500.
	MTU int
}

// DefaultRing is the number of frames a ring holds where none is given. Drivers have 256 to 4,096.
const DefaultRing = 2048

// maxQueues is MAX_TAP_QUEUES of drivers/net/tun.c.
const maxQueues = 256

func (c Config) withDefaults() Config {
	if c.Queues == 0 && c.NIC != nil {
		c.Queues = c.NIC.Config().Table.Queues()
	}
	if c.Ring == 0 {
		c.Ring = DefaultRing
	}
	if c.MTU == 0 {
		c.MTU = netns.DefaultMTU
	}
	return c
}

func (c Config) validate() error {
	switch {
	case c.NIC == nil:
		return errors.New("no nic to classify with")
	case c.Queues < 1 || c.Queues > maxQueues:
		return fmt.Errorf("%d queues: want 1 to %d", c.Queues, maxQueues)
	case c.Ring < 1:
		return fmt.Errorf("ring of %d frames: want at least 1", c.Ring)
	}
	return c.fits(c.NIC.Config().Table)
}

// fits says whether there is a queue for every entry of a table.
func (c Config) fits(t rss.Table) error {
	if n := t.Queues(); n > c.Queues {
		return fmt.Errorf("indirection table names queue %d: there are %d", n-1, c.Queues)
	}
	return nil
}
