package balance

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"lbctl/rss"
)

// Bucket is what one entry of an indirection table brought.
type Bucket struct {
	// Load is in any unit, packets or bytes; Flows is what moving the entry disturbs.
	Load, Flows uint64
}

// Problem is an indirection table and what was observed under it.
type Problem struct {
	// Table is the table under which the buckets were observed, as long as they are. An entry may
	// name a queue past Queues: it must move, whatever the budget.
	Table   rss.Table
	Buckets []Bucket
	// Queues is the number of queues that the new table may name.
	Queues int
	// Fixed is the load of each queue that no table moves, that of packets without a hash; nil is none.
	Fixed []uint64
	// Budget is the most flows that may move.
	Budget uint64
}

// Plan is a new table and what it does to the loads that were observed.
type Plan struct {
	Table rss.Table
	// Loads are those of the queues.
	Loads []uint64
	// Entries, Flows and Load are what moves.
	Entries     int
	Flows, Load uint64
	// Steps are the way there, from the first table on: what each move bought.
	Steps []Step
}

// Step is a state on the way.
type Step struct {
	Entries int
	Flows   uint64
	// Hottest is the load of the hottest queue.
	Hottest uint64
}

// Rebalance looks for the table that keeps the load of the hottest queue lowest within the budget,
// and among those moves few flows. It is a heuristic (the problem is NP-hard) in the manner of RSS++
// (Barbette et al., "RSS++: load and state-aware receive side scaling", CoNEXT 2019): as long as
// it helps, an entry of the hottest queue goes to another queue, or changes places with a smaller
// entry there; the move that buys most for each flow goes first. Where the budget allows it, the
// table that LPT makes, its queues named so that most stays, is taken instead if it is better by
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

// worthwhile is how much cooler a table must be that moves nearly everything.
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

// evict returns the table with the entries that name no queue moved, the largest first.
func (p *Problem) evict() rss.Table {
	table, loads := slices.Clone(p.Table), p.fixed()
	var homeless []int
	for i, q := range table {
		if int(q) >= p.Queues {
			homeless = append(homeless, i)
		} else {
			loads[q] += p.Buckets[i].Load
		}
	}
	slices.SortStableFunc(homeless, func(a, b int) int { return cmp.Compare(p.Buckets[b].Load, p.Buckets[a].Load) })
	for _, i := range homeless {
		coolest := slices.Index(loads, slices.Min(loads))
		table[i] = rss.Queue(coolest)
		loads[coolest] += p.Buckets[i].Load
	}
	return table
}
