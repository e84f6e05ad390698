package rig

import (
	"fmt"
	"sync/atomic"

	"lbctl/rss"
	"lbctl/rss/nic"
)

// behaviour is how frames are classified for a while, and how many were. A new one takes
// its place from one frame to the next; the reader alone counts.
type behaviour struct {
	nic *nic.NIC
	// spray ignores the hash and goes round robin.
	spray  bool
	counts []count
	turn   int
}

// count is what came in for one queue. The padding keeps readers of the statistics off the
// cache line of the queue beside it.
type count struct {
	frames, bytes, drops atomic.Uint64
	_                    [40]byte
}

// queue says where a frame goes.
func (b *behaviour) queue(frame []byte) rss.Queue {
	if !b.spray {
		return b.nic.Classify(frame).Queue
	}
	b.turn = (b.turn + 1) % len(b.counts)
	return rss.Queue(b.turn)
}

// SetTable rewrites the indirection table, between two frames. Frames that are in their
// ring stay there, as in a real NIC: for as long as that takes, a flow whose queue changed may be overtaken.
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

// SetSpray makes the NIC ignore the hash and deal frames out round robin, or stop doing so.
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

// Periods returns the frames by queue of each period between two changes (SetTable, SetSpray), the
// first first: with one change, two periods, before and after.
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
