package load

import (
	"errors"
	"io"
	"iter"
	"slices"
	"time"

	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/rss/replay/pcap"
	"lbctl/rss/sim"
)

// Capture is the traffic of a capture file. Times are since its first packet and never decrease: a packet with an
// earlier time than the one before it gets that one's.
type Capture struct {
	arrivals []sim.Arrival
	bytes    uint64
	// Cut is why the file ended early, Damage what ended it; nil for a whole one.
	Cut, Damage error
	// Unpredicted is the number of packets that were cut before what the NIC hashes; they are left out.
	Unpredicted int
}

// ReadCapture classifies the packets of a capture by a NIC. A file that is cut short or damaged gives the packets before
// that place. Errors are the reader's.
func ReadCapture(reader *pcap.Reader, n *nic.NIC) (Capture, error) {
	var c Capture
	var first int64
	for {
		var record pcap.Record
		err := reader.Next(&record)
		switch {
		case errors.Is(err, io.EOF):
			return c, nil
		case errors.Is(err, pcap.ErrCut) && len(c.arrivals) > 0:
			c.Cut = err
			return c, nil
		case len(c.arrivals) > 0 && (errors.Is(err, pcap.ErrFormat) || errors.Is(err, pcap.ErrLength)):
			c.Damage = err
			return c, nil
		case err != nil:
			return Capture{}, err
		case !record.Timed || len(record.Frame) == 0:
			continue
		}
		h, err := packet.ParseCaptured(record.Frame, record.Cut)
		result := n.ClassifyHeaders(record.Frame, &h, err)
		if result.Unhashed == nic.Cut {
			c.Unpredicted++
			continue
		}
		if len(c.arrivals) == 0 {
			first = record.Time
		}
		c.add(time.Duration(record.Time-first), record.Length, result)
	}
}

func (c *Capture) add(at time.Duration, length int, to nic.Result) {
	if last := len(c.arrivals) - 1; last >= 0 {
		at = max(at, c.arrivals[last].At)
	}
	c.arrivals = append(c.arrivals, sim.Arrival{At: max(at, 0), Length: length, Hash: to.Hash, Hashed: to.Hashed, Queue: to.Queue})
	c.bytes += uint64(length)
}

// Span is the time from the first packet to the last; 0 for less than two packets.
func (c Capture) Span() time.Duration {
	if len(c.arrivals) == 0 {
		return 0
	}
	return c.arrivals[len(c.arrivals)-1].At
}

// Rate is the mean number of packets per second; Span must be above 0.
func (c Capture) Rate() float64 { return float64(len(c.arrivals)-1) / c.Span().Seconds() }

// MeanLength is the mean length of the packets in bytes.
func (c Capture) MeanLength() float64 { return float64(c.bytes) / float64(len(c.arrivals)) }

// Faster returns the traffic with all gaps divided by a factor.
func (c Capture) Faster(factor float64) Capture {
	c.arrivals = slices.Clone(c.arrivals)
	for i := range c.arrivals {
		c.arrivals[i].At = time.Duration(float64(c.arrivals[i].At) / factor)
	}
	return c
}

// Arrivals returns the traffic.
func (c Capture) Arrivals() iter.Seq[sim.Arrival] { return slices.Values(c.arrivals) }
