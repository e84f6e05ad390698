package replay

import (
	"slices"
	"time"

	"lbctl/rss/replay/pcap"
)

// maxCells bounds the memory of windows: windows times queues.
const maxCells = 1 << 20

// windows are loads by queue and time.
type windows struct {
	width  time.Duration
	queues int
	// most is the limit of their number.
	most int
	list [][]Load
}

func newWindows(width time.Duration, queues int) windows {
	return windows{width: width, queues: queues, most: min(4096, max(maxCells/queues, 16))}
}

// add counts a packet at a time since the first.
func (s *windows) add(since time.Duration, queue int, bytes uint64) {
	if s.width == 0 {
		return
	}
	for since/s.width >= time.Duration(s.most) {
		s.widen()
	}
	i := int(since / s.width)
	for len(s.list) <= i {
		s.list = append(s.list, make([]Load, s.queues))
	}
	s.list[i][queue].add(bytes)
}

// widen doubles the width and merges each two windows into one.
func (s *windows) widen() {
	for i, window := range s.list {
		if i%2 == 0 {
			s.list[i/2] = window
			continue
		}
		for q, load := range window {
			s.list[i/2][q].Packets += load.Packets
			s.list[i/2][q].Bytes += load.Bytes
		}
	}
	s.list = slices.Delete(s.list, (len(s.list)+1)/2, len(s.list))
	s.width *= 2
}

// clock is the time of a capture.
type clock struct {
	started     bool
	first, last int64
	// since is the time from the first packet to the current one, at least 0. A packet
	// without a time, or with an absurd one, is assumed to have come with the one before.
	since time.Duration
	// believed and absurd count times.
	believed, absurd uint64
}

// maxSpan is the longest time from the first packet that is believed, in both directions. Without a limit a single
// wrong time would make windows of years.
const maxSpan = 400 * 24 * time.Hour

func (c *clock) see(record *pcap.Record) {
	if !record.Timed {
		return
	}
	if !c.started {
		c.started, c.first, c.last = true, record.Time, record.Time
	}
	since := record.Time - c.first
	if since > int64(maxSpan) || since < -int64(maxSpan) {
		if c.absurd++; c.absurd <= c.believed {
			return
		}
		// Most times are absurd, so the first one was wrong.
		c.first, since = record.Time-int64(c.since), int64(c.since)
		c.last, c.absurd, c.believed = record.Time, c.believed, c.absurd-1
	}
	c.believed++
	c.last = max(c.last, record.Time)
	c.since = time.Duration(max(0, since))
}
