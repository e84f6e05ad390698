package replay

import (
	"math/rand/v2"

	"lbctl/rss"
	"lbctl/rss/balance"
)

// level is the probability that a by-chance band holds.
const level = 0.95

// fewestExpected is the least expected number of flows of a queue for which Pearson's test holds (Cochran 1954).
const fewestExpected = 5

// imbalances computes the imbalance of queues in each measure.
func imbalances(queues []Load) Imbalances {
	return Imbalances{
		Packets: imbalance(queues, func(l Load) uint64 { return l.Packets }),
		Bytes:   imbalance(queues, func(l Load) uint64 { return l.Bytes }),
		Flows:   imbalance(queues, func(l Load) uint64 { return l.Flows }),
	}
}

func imbalance(queues []Load, of func(Load) uint64) Imbalance {
	counts, loads := make([]int, len(queues)), make([]uint64, len(queues))
	for q, l := range queues {
		counts[q], loads[q] = int(of(l)), of(l)
	}
	return Imbalance{
		MaxMean: finite(balance.MaxMean(loads)), CV: finite(balance.CV(counts)), Jain: finite(balance.Jain(counts)),
	}
}

// hashedFlows returns the number of flows of each queue, without those of the default queue that were not hashed and so
// are not random.
func hashedFlows(queues []Load, unhashed Load, to rss.Queue) []int {
	counts := make([]int, len(queues))
	for q, l := range queues {
		counts[q] = int(l.Flows)
	}
	counts[to] -= int(unhashed.Flows)
	return counts
}

// byChance compares the hashed flows with random ones under a table: the band of each
// queue, the band of the imbalance, and the chi-square test. Each flow counts once, whatever its size.
func byChance(queues []Queue, found *Imbalance, counts []int, table rss.Table, seed uint64) {
	weights, n := shares(table, len(counts)), 0
	for _, c := range counts {
		n += c
	}
	bands, err := balance.ShareBands(n, weights, level)
	if err != nil { // nothing was hashed
		return
	}
	for q, b := range bands {
		queues[q].Band = &[2]int{b.Low, b.High}
	}
	if band, err := balance.CountBand(n, weights, level, rand.New(rand.NewPCG(seed, 1))); err == nil {
		found.ByChance = &[2]float64{band.Low, band.High}
	}
	if fit, err := balance.ChiSquare(counts, weights); err == nil && fit.LeastExpected >= fewestExpected {
		found.ChiSquare = &ChiSquare{finite(fit.Statistic), fit.Degrees, fit.P}
	}
}

// loadByChance returns the by-chance band of the load; sorted is the load of each hash, the largest first.
func (r *Replay) loadByChance(sorted, fixed []uint64) *[2]float64 {
	if r.changed {
		return nil
	}
	random := rand.New(rand.NewPCG(r.o.Seed, 0))
	band, err := balance.LoadBand(sorted, fixed, shares(r.table, r.o.Queues), level, random)
	if err != nil { // nothing was hashed
		return nil
	}
	return &[2]float64{band.Low, band.High}
}
