package replay

import (
	"cmp"
	"math"
	"slices"

	"lbctl/rss"
	"lbctl/rss/balance"
	"lbctl/rss/replay/flows"
)

// Best is the imbalance (max/mean of the load) that the largest-first rule reaches, LPT, when it
// may move more and more: each step says what one thing in the NIC is to blame for. What is not
// hashed stays on queue 0 throughout.
type Best struct {
	// Now is the imbalance found.
	Now float64 `json:"now"`
	// Buckets may be moved: what another table of this size reaches, under this key.
	Buckets float64 `json:"by_buckets"`
	// Hashes may be moved: what a larger table or another key can reach. Flows with the same hash
	// stay together.
	Hashes float64 `json:"by_hashes"`
	// Flows may be moved: what hashing more fields can reach. Nothing that keeps a flow on one queue is
	// better.
	Flows float64 `json:"by_flows"`
	// LargestFlow is its share of all load, 0 to 1: times the number of queues it is a floor.
	LargestFlow float64 `json:"largest_flow"`
}

// hashed is what one hash value, or one flow, brought.
type hashed struct {
	hash uint32
	load uint64
}

// best computes the ladder, and the by-chance band of the load.
func (r *Replay) best() (*Best, *[2]float64) {
	fixed := r.fixed(r.unhashed, r.o.Queues)
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
	b.Flows = balance.MaxMean(balance.LPT(things, fixed))
	if len(things) > 0 {
		b.LargestFlow = float64(things[0]) / float64(r.total.By(r.o.Measure))
	}
	things = things[:0]
	for i, h := range list {
		if i > 0 && h.hash == list[i-1].hash {
			things[len(things)-1] += h.load
		} else {
			things = append(things, h.load)
		}
	}
	b.Hashes = balance.MaxMean(balance.LPT(things, fixed))
	// A heuristic may do worse where it may move more; what was possible stays possible.
	b.Buckets = min(b.Buckets, b.Now)
	b.Hashes = min(b.Hashes, b.Buckets)
	b.Flows = min(b.Flows, b.Hashes)
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

// load returns what a flow brought.
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

// fixed returns the load that stays on queue 0.
func (r *Replay) fixed(unhashed Load, queues int) []uint64 {
	fixed := make([]uint64, queues)
	fixed[0] = unhashed.By(r.o.Measure)
	return fixed
}

// shares returns the share of random hashes that each queue gets.
func shares(table rss.Table, queues int) []float64 {
	s := table.Shares()
	return append(s, make([]float64, max(0, queues-len(s)))...)
}

// finite returns x, or 0 for what JSON cannot hold.
func finite(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return x
}
