package replay

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"lbctl/rss"
	"lbctl/rss/balance"
	"lbctl/rss/replay/flows"
)

// Best is the imbalance (max/mean of the load) that balance.LPT reaches when it may move smaller and smaller
// units. The steps show which setting of the NIC causes the imbalance. Packets without a hash stay
// together in all of them.
type Best struct {
	// Now is the present imbalance.
	Now float64 `json:"now"`
	// Buckets is reached by moving buckets: another table of this size, under this key.
	Buckets float64 `json:"by_buckets"`
	// Hashes is reached by moving hash values: a larger table or another key. Flows with the same hash
	// stay together.
	Hashes float64 `json:"by_hashes"`
	// Flows is reached by moving flows: more hash fields. It is the least imbalance that keeps each flow on one
	// queue.
	Flows float64 `json:"by_flows"`
	// LargestFlow is the share of the largest flow of all load, 0 to 1. Times the number of queues it is a lower bound.
	LargestFlow float64 `json:"largest_flow"`
}

// hashed is the load of one flow and its hash.
type hashed struct {
	hash uint32
	load uint64
}

// best computes Best, and the by-chance band of the load.
func (r *Replay) best() (*Best, *[2]float64) {
	unhashed := r.unhashed.all().By(r.o.Measure)
	fixed := fixed(unhashed, r.to, r.o.Queues)
	loads := make([]uint64, len(r.queues))
	for q, l := range r.queues {
		loads[q] = l.By(r.o.Measure)
	}
	b := &Best{Now: balance.MaxMean(loads), Buckets: balance.MaxMean(balance.LPT(r.bucketLoads(), fixed))}
	list := r.byHash()
	things := make([]uint64, 0, len(list))
	for _, h := range list {
		things = append(things, h.load)
	}
	var movable []uint64 // with entry 0
	if r.to.FirstEntry {
		movable = []uint64{unhashed}
	}
	b.Flows = balance.MaxMean(balance.LPT(slices.Concat(things, movable), fixed))
	if len(things) > 0 {
		b.LargestFlow = float64(slices.Max(things)) / float64(r.total.By(r.o.Measure))
	}
	things = things[:0]
	for i, h := range list {
		if i > 0 && h.hash == list[i-1].hash {
			things[len(things)-1] += h.load
		} else {
			things = append(things, h.load)
		}
	}
	b.Hashes = balance.MaxMean(balance.LPT(slices.Concat(things, movable), fixed))
	slices.SortFunc(things, func(a, b uint64) int { return cmp.Compare(b, a) })
	// The heuristic may do worse with smaller units, although the better result stays possible.
	b.Buckets = min(b.Buckets, b.Now)
	b.Hashes = min(b.Hashes, b.Buckets)
	b.Flows = min(b.Flows, b.Hashes)
	for _, load := range movable {
		fixed[r.to.Of(r.table)] += load // another key leaves it where it is
	}
	return b, r.loadByChance(things, fixed)
}

// byHash returns the hashed flows, by hash.
func (r *Replay) byHash() []hashed {
	list := make([]hashed, 0, r.total.Flows)
	for _, e := range r.flows.All() {
		if e.Packets > 0 && e.Marks&markHashed != 0 {
			list = append(list, hashed{e.Hash, r.load(e)})
		}
	}
	slices.SortFunc(list, func(a, b hashed) int { return cmp.Compare(a.hash, b.hash) })
	return list
}

// load returns the load of a flow.
func (r *Replay) load(e *flows.Entry) uint64 {
	return Load{Packets: e.Packets, Bytes: e.Bytes}.By(r.o.Measure)
}

func (r *Replay) bucketLoads() []uint64 {
	loads := make([]uint64, len(r.buckets))
	for i, b := range r.buckets {
		loads[i] = b.By(r.o.Measure)
	}
	return loads
}

// shares returns the share of random hashes that each queue gets.
func shares(table rss.Table, queues int) []float64 {
	s := table.Shares()
	return append(s, make([]float64, max(0, queues-len(s)))...)
}

// finite returns x, or 0 for infinities and NaN, which JSON does not have.
func finite(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return x
}

// Verdict says whether another key or table could help.
type Verdict struct {
	// Kind is one of even, elephant, unhashed, table, key, fields, one-queue.
	Kind string `json:"verdict"`
	// Text is the verdict in sentences.
	Text string `json:"verdict_text"`
}

// NearlyEven is the load of the busiest queue, by the mean, up to which a load is even.
const NearlyEven = 1.05

const (
	// A change is worthwhile if it lowers the load of the busiest queue to this share.
	worthwhile = 0.95
)

// verdict picks the cheapest change that helps.
func (b *Best) verdict(r *Replay) Verdict {
	unhashed := float64(r.unhashed.all().By(r.o.Measure)) / float64(r.total.By(r.o.Measure))
	alone := unhashed * float64(r.o.Queues) // max/mean if the default queue had nothing else
	switch {
	case r.o.Queues == 1:
		return Verdict{"one-queue", "There is only one queue."}
	case b.Now <= NearlyEven:
		return Verdict{"even", fmt.Sprintf("The load is even: the busiest queue has %.2f of the mean. There is nothing to gain.", b.Now)}
	case b.Buckets <= worthwhile*b.Now:
		return Verdict{"table", fmt.Sprintf("A rewritten table helps: the busiest queue has %.2f of the mean, %.2f is possible with the same key and table size (see lbctl rss plan).%s%s",
			b.Now, b.Buckets, b.elephant(r), fewFlows(r))}
	case b.Hashes <= worthwhile*b.Now:
		return Verdict{"key", fmt.Sprintf("No table of %d entries helps, a larger table or another key may: the busiest queue has %.2f of the mean, %.2f is possible.%s",
			len(r.table), b.Now, b.Hashes, b.elephant(r))}
	case b.Flows <= worthwhile*b.Now:
		return Verdict{"fields", fmt.Sprintf("No key or table helps, because flows have the same hash. Hashing more fields may: the busiest queue has %.2f of the mean, %.2f is possible.%s",
			b.Now, b.Flows, b.elephant(r))}
	case alone > worthwhile*b.Now:
		return Verdict{"unhashed", fmt.Sprintf("No key or table helps: %.0f %% of the %s are not hashed (most of them: %s) and go to %s.",
			100*unhashed, r.o.Measure, r.unhashed.report()[0].Cause, destination(r.to, r.table))}
	}
	return Verdict{"elephant", fmt.Sprintf("No key or table helps: the busiest queue has %.2f of the mean, and %.2f is the least possible.%s", b.Now, b.Flows, b.elephant(r))}
}

// elephant returns a sentence about the lower bound that the largest flow sets, if it matters.
func (b *Best) elephant(r *Replay) string {
	floor := b.LargestFlow * float64(r.o.Queues)
	if floor <= NearlyEven {
		return ""
	}
	return fmt.Sprintf(" The largest flow has %.0f %% of the %s and cannot be split: it alone causes %.2f.", 100*b.LargestFlow, r.o.Measure, floor)
}

// fewFlows returns a warning that a planned table may be overfitted.
func fewFlows(r *Replay) string {
	if r.total.Flows >= 4*uint64(len(r.table)) {
		return ""
	}
	return fmt.Sprintf(" But %d flows are few for %d entries: the table may not fit future flows.", r.total.Flows, len(r.table))
}
