package replay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"lbctl/rss"
	"lbctl/rss/nic"
)

// Observed is the observed load of the entries of an indirection table, from a report or another
// source.
type Observed struct {
	// Buckets are in the order of their index, without a gap.
	Buckets []Bucket
	// Queues is the number of queues, at least as many as buckets name.
	Queues int
	// Unhashed is the load without a hash, To where it went.
	Unhashed Load
	To       nic.DefaultQueue
}

// Fixed returns the load of the queues in a measure that no table can move.
func (o *Observed) Fixed(m Measure) []uint64 { return fixed(o.Unhashed.By(m), o.To, o.Queues) }

// Flows returns the number of flows that have a hash.
func (o *Observed) Flows() (n uint64) {
	for _, b := range o.Buckets {
		n += b.Flows
	}
	return n
}

// Observed returns the buckets of a report.
func (p *Report) Observed() Observed {
	return Observed{Buckets: p.Buckets, Queues: len(p.Queues), Unhashed: p.Unhashed, To: defaultQueue(p.DefaultQueue)}
}

// Observed returns the buckets of another setup.
func (c *Compared) Observed() Observed {
	return Observed{Buckets: c.Buckets, Queues: len(c.Queues), Unhashed: c.Unhashed, To: defaultQueue(c.DefaultQueue)}
}

// defaultQueue reads the words of a report.
func defaultQueue(words string) nic.DefaultQueue {
	to, _ := nic.ParseDefaultQueue(words) // a report's is valid
	return to
}

// Table returns the indirection table under which it was observed.
func (o *Observed) Table() rss.Table {
	table := make(rss.Table, len(o.Buckets))
	for i, b := range o.Buckets {
		table[i] = b.Queue
	}
	return table
}

// maxObserved bounds the bytes that ReadObserved reads.
const maxObserved = 64 << 20

// ReadObserved reads buckets as JSON: a Report, or at least its "buckets". Every index from 0 to the highest
// must be there once. The error says what is wrong.
func ReadObserved(r io.Reader) (Observed, error) {
	var in struct {
		Buckets  []Bucket   `json:"buckets"`
		Unhashed Load       `json:"unhashed"`
		To       string     `json:"default_queue"`
		Queues   []struct{} `json:"queues"`
	}
	in.To = "0"
	limited := &io.LimitedReader{R: r, N: maxObserved}
	if err := json.NewDecoder(limited).Decode(&in); err != nil {
		if limited.N <= 0 {
			err = fmt.Errorf("more than %d bytes", maxObserved)
		} else if err == io.EOF {
			err = errors.New("empty")
		}
		return Observed{}, fmt.Errorf("read buckets: %w", err)
	}
	o := Observed{Buckets: make([]Bucket, len(in.Buckets)), Unhashed: in.Unhashed, Queues: len(in.Queues)}
	to, err := nic.ParseDefaultQueue(in.To)
	if err == nil {
		o.To, o.Queues = to, max(o.Queues, int(to.Queue)+1)
		err = o.place(in.Buckets)
	}
	if err != nil {
		return Observed{}, fmt.Errorf("read buckets: %w", err)
	}
	return o, nil
}

// place puts buckets in the order of their index.
func (o *Observed) place(list []Bucket) error {
	switch {
	case len(list) == 0:
		return errors.New(`no "buckets": want [{"index":0,"queue":0,"packets":1,"bytes":60,"flows":1}, ...]`)
	case len(list) > rss.MaxTableSize:
		return fmt.Errorf("%d buckets: want at most %d", len(list), rss.MaxTableSize)
	case o.Queues > rss.MaxQueues:
		return fmt.Errorf("%d queues: want at most %d", o.Queues, rss.MaxQueues)
	}
	sum, seen := o.Unhashed, make([]bool, len(list))
	for _, b := range list {
		if b.Index < 0 || b.Index >= len(list) || seen[b.Index] {
			return fmt.Errorf("bucket %d of %d: want each of 0 to %d once", b.Index, len(list), len(list)-1)
		}
		sum.Packets, sum.Bytes, sum.Flows = plus(sum.Packets, b.Packets), plus(sum.Bytes, b.Bytes), plus(sum.Flows, b.Flows)
		seen[b.Index], o.Buckets[b.Index] = true, b
		o.Queues = max(o.Queues, int(b.Queue)+1)
	}
	if max(sum.Packets, sum.Bytes, sum.Flows) > maxSum {
		return errors.New("the sum of the loads is too large")
	}
	return nil
}

// maxSum is more than a NIC can receive, and far from an overflow.
const maxSum = 1 << 56

func plus(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}
