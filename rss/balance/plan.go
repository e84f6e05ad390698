package balance

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"lbctl/rss"
)

// Bucket is the observed load of one entry of an indirection table.
type Bucket struct {
	// Load is in packets or bytes; Flows is the number of flows that move with the entry.
	Load, Flows uint64
}

// Problem is an indirection table and what was observed under it.
type Problem struct {
	// Table is the table under which the buckets were observed, one entry for each. An entry that
	// names a queue past Queues must move, whatever the budget.
	Table   rss.Table
	Buckets []Bucket
	// Queues is the number of queues that the new table may name.
	Queues int
	// Fixed is the load of each queue that no table can move, such as packets without a hash; nil is none.
	Fixed []uint64
	// Budget is the most flows that may move.
	Budget uint64
}

// Plan is a new table and its effect on the observed loads.
type Plan struct {
	Table rss.Table
	// Loads are those of the queues.
	Loads []uint64
	// Entries, Flows and Load are what moves to another queue.
	Entries     int
	Flows, Load uint64
	// Steps are the states from the first table to the new one, after each move.
	Steps []Step
}

// Step is the state after a move.
type Step struct {
	Entries int
	Flows   uint64
	// Hottest is the load of the hottest queue.
	Hottest uint64
}

// Rebalance looks for the table that minimises the load of the busiest queue within the budget,
// and moves few flows. It is a heuristic (the problem is NP-hard) in the manner of RSS++
// (Barbette et al., "RSS++: load and state-aware receive side scaling", CoNEXT 2019): as long as
// it helps, it moves an entry of the busiest queue to another queue, or exchanges it for a smaller
// entry there, and takes the move with the largest gain per flow first. If the budget allows it, the
// table of LPT, assigned so that many flows stay, is taken instead if it is better by
// more than a hundredth.
func Rebalance(p Problem) (Plan, error) {
	if err := p.validate(); err != nil {
		return Plan{}, fmt.Errorf("plan indirection table: %w", err)
	}
	greedy := newSearch(&p, p.evict())
	greedy.run()
	best := greedy
	fresh := newSearch(&p, p.spread())
	fresh.run()
	affordable := fresh.flows-min(fresh.flows, greedy.forced) <= p.Budget
	if affordable && float64(fresh.hottest()) < worthwhile*float64(best.hottest()) {
		best = fresh
		best.steps = slices.Insert(best.steps, 0, greedy.steps[0])
	}
	return best.plan(), nil
}

// worthwhile is how much better a table must be that moves nearly everything.
const worthwhile = 0.99

func (p *Problem) validate() error {
	switch {
	case len(p.Table) == 0 || len(p.Table) != len(p.Buckets):
		return fmt.Errorf("%d entries and %d buckets: want as many, at least one", len(p.Table), len(p.Buckets))
	case p.Queues < 1 || p.Queues > rss.MaxQueues:
		return fmt.Errorf("%d queues: want 1 to %d", p.Queues, rss.MaxQueues)
	case len(p.Fixed) > p.Queues:
		return errors.New("fixed load on a queue that does not exist")
	}
	return nil
}

// fixed returns Fixed of all queues.
func (p *Problem) fixed() []uint64 {
	return append(slices.Clone(p.Fixed), make([]uint64, p.Queues-len(p.Fixed))...)
}

// evict returns the table after moving the entries that name a queue past Queues, the largest first, to the least
// loaded queue.
func (p *Problem) evict() rss.Table {
	table, loads := slices.Clone(p.Table), p.fixed()
	var evicted []int
	for i, q := range table {
		if int(q) >= p.Queues {
			evicted = append(evicted, i)
		} else {
			loads[q] += p.Buckets[i].Load
		}
	}
	slices.SortStableFunc(evicted, func(a, b int) int { return cmp.Compare(p.Buckets[b].Load, p.Buckets[a].Load) })
	for _, i := range evicted {
		coolest := slices.Index(loads, slices.Min(loads))
		table[i] = rss.Queue(coolest)
		loads[coolest] += p.Buckets[i].Load
	}
	return table
}
