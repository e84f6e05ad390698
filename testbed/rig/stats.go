package rig

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
