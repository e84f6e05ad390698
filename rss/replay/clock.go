package replay

import (
	"time"

	"lbctl/rss/replay/pcap"
)

// clock is the time of a capture.
type clock struct {
	started     bool
	first, last int64
	// since is from the first packet to the current one, not below 0. A packet
	// without time, or with an absurd one, came with the one before.
	since time.Duration
	// believed and absurd count times.
	believed, absurd uint64
}

// maxSpan is the longest capture that is believed, and how far back time may step. A single wrong
// time would make windows of years.
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
		// Most are: so it was the first one that was wrong.
		c.first, since = record.Time-int64(c.since), int64(c.since)
		c.last, c.absurd, c.believed = record.Time, c.believed, c.absurd-1
	}
	c.believed++
	c.last = max(c.last, record.Time)
	c.since = time.Duration(max(0, since))
}
