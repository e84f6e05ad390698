package replay

import (
	"cmp"
	"slices"
	"time"

	"lbctl/rss"
	"lbctl/rss/balance"
	"lbctl/rss/replay/flows"
)

// Report ends the replay and returns its report. The error is ErrNoPackets, ErrUnpredicted or flows.ErrFull.
func (r *Replay) Report(file File) (*Report, error) {
	if err := r.flush(); err != nil {
		return nil, err
	}
	switch {
	case r.total.Packets == 0 && r.unpredicted.Packets > 0:
		return nil, ErrUnpredicted
	case r.total.Packets == 0:
		return nil, ErrNoPackets
	}
	unhashed := r.unhashed.all()
	slices.SortFunc(file.Skipped, func(a, b Skipped) int { return cmp.Compare(a.Link, b.Link) })
	file.AbsurdTimes = r.clock.absurd
	p := &Report{
		File: file, Load: r.total, Seconds: time.Duration(r.clock.last - r.clock.first).Seconds(),
		Unhashed: unhashed, UnhashedBy: r.unhashed.report(), DefaultQueue: r.to.String(),
		Unpredicted: r.unpredicted, Super: r.super, Measure: r.o.Measure,
		Queues: queueList(r.queues), Buckets: bucketList(r.buckets, r.table),
		Imbalance: imbalances(r.queues), Floor: floorOf(r.table, r.o.Queues),
		Top: r.top(), Windows: r.windows.report(r.o.Measure),
	}
	if !r.changed {
		byChance(p.Queues, &p.Imbalance.Flows, hashedFlows(r.queues, unhashed, r.to.Of(r.table)), r.table, r.o.Seed)
	}
	var band *[2]float64
	p.Best, band = r.best()
	if r.o.Measure == Bytes {
		p.Imbalance.Bytes.ByChance = band
	} else {
		p.Imbalance.Packets.ByChance = band
	}
	p.Verdict = p.Best.verdict(r)
	p.Affinity = r.violations()
	for i := range r.others {
		p.Compare = append(p.Compare, r.others[i].report(r.o.Seed))
	}
	return p, nil
}

func queueList(loads []Load) []Queue {
	list := make([]Queue, len(loads))
	for q, l := range loads {
		list[q] = Queue{Queue: rss.Queue(q), Load: l}
	}
	return list
}

func bucketList(loads []Load, table rss.Table) []Bucket {
	list := make([]Bucket, len(loads))
	for i, l := range loads {
		list[i] = Bucket{Index: i, Queue: table[i], Load: l}
	}
	return list
}

// floorOf returns the imbalance that remains when every entry has the same load.
func floorOf(table rss.Table, queues int) float64 {
	floor, _ := balance.QuantisationFloor(shares(table, queues)) // the shares of a table are valid
	return floor
}

// top returns the largest flows. They are exact, because the table has all flows.
func (r *Replay) top() []Flow {
	var largest []int // numbers of flows by decreasing load, equal ones in order
	load := func(n int) uint64 { return r.load(r.flows.At(n)) }
	for n, e := range r.flows.All() {
		if e.Packets == 0 || r.o.Top == 0 || len(largest) == r.o.Top && r.load(e) <= load(largest[len(largest)-1]) {
			continue
		}
		at, _ := slices.BinarySearchFunc(largest, n, func(a, b int) int {
			return cmp.Or(cmp.Compare(load(b), load(a)), cmp.Compare(a, b))
		})
		largest = slices.Insert(largest, at, n)[:min(len(largest)+1, r.o.Top)]
	}
	list := make([]Flow, len(largest))
	for i, n := range largest {
		list[i] = r.describe(r.flows.At(n))
	}
	return list
}

func (r *Replay) describe(e *flows.Entry) Flow {
	f := e.Key().Flow()
	return Flow{
		Source: f.Source.String(), Destination: f.Destination.String(), Protocol: f.Protocol.String(),
		Queue: e.Queue, Packets: e.Packets, Bytes: e.Bytes,
		Share: finite(float64(r.load(e)) / float64(r.total.By(r.o.Measure))),
	}
}

func (s *windows) report(m Measure) *Windows {
	if s.width == 0 {
		return nil
	}
	p := &Windows{Seconds: s.width.Seconds()}
	for i, loads := range s.list {
		w := Window{Start: (time.Duration(i) * s.width).Seconds(), Queues: make([]uint64, len(loads))}
		for q, l := range loads {
			w.Packets += l.Packets
			w.Bytes += l.Bytes
			w.Queues[q] = l.By(m)
		}
		w.MaxMean = finite(balance.MaxMean(w.Queues))
		p.List = append(p.List, w)
	}
	return p
}

func (o *other) report(seed uint64) Compared {
	table := o.NIC.Config().Table
	c := Compared{
		Name: o.Name, Moved: o.moved, Unhashed: o.unhashed, DefaultQueue: o.to.String(),
		Queues: queueList(o.queues), Buckets: bucketList(o.buckets, table),
		Imbalance: imbalances(o.queues), Floor: floorOf(table, o.Queues),
	}
	byChance(c.Queues, &c.Imbalance.Flows, hashedFlows(o.queues, o.unhashed, o.to.Of(table)), table, seed)
	return c
}

// Load is the load of a queue, a bucket, or all. A flow counts once, where its first packet went.
type Load struct {
	Packets uint64 `json:"packets"`
	// Bytes are bytes on the wire, also for packets that were captured in part.
	Bytes uint64 `json:"bytes"`
	Flows uint64 `json:"flows"`
}

func (l *Load) add(bytes uint64) {
	l.Packets++
	l.Bytes += bytes
}

// By returns the load in a measure.
func (l Load) By(m Measure) uint64 {
	if m == Bytes {
		return l.Bytes
	}
	return l.Packets
}
