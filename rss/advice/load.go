package advice

import (
	"lbctl/rss"
	"lbctl/rss/balance"
	"lbctl/rss/ethtool"
	"lbctl/rss/replay"
)

// problem turns an observation into the planner's input.
func problem(o replay.Observed, m replay.Measure, budget uint64) balance.Problem {
	p := balance.Problem{Table: o.Table(), Queues: o.Queues, Fixed: o.Fixed(m), Budget: budget}
	for _, b := range o.Buckets {
		p.Buckets = append(p.Buckets, balance.Bucket{Load: b.By(m), Flows: b.Flows})
	}
	return p
}

// bestWeights returns the best table that ethtool -X weight can make; nil when there are more queues than it can weigh.
func bestWeights(p balance.Problem, iface string) *Weights {
	loads := make([]uint64, len(p.Buckets))
	for i, b := range p.Buckets {
		loads[i] = b.Load
	}
	fixed := make([]uint64, p.Queues)
	copy(fixed, p.Fixed)
	plan := rss.TablePlan{Weights: balance.Runs(loads, fixed)}
	table, err := plan.Build(len(p.Table), p.Queues)
	if err != nil {
		return nil
	}
	return &Weights{
		Command: ethtool.Change{Table: &plan}.Commands(iface, 0)[0],
		MaxMean: balance.MaxMean(loadsUnder(p, table)), Moved: movedBetween(p, table),
	}
}

func stateOf(loads []uint64) State {
	s := State{MaxMean: balance.MaxMean(loads), Loads: loads}
	for q, l := range loads {
		if l > loads[s.Hottest] {
			s.Hottest = q
		}
	}
	return s
}

// loadsUnder returns the loads of the queues under a table, which may name a queue past p.Queues.
func loadsUnder(p balance.Problem, table rss.Table) []uint64 {
	loads := make([]uint64, max(p.Queues, table.Queues()))
	copy(loads, p.Fixed)
	for i, b := range p.Buckets {
		loads[table[i]] += b.Load
	}
	return loads
}

// movedBetween returns what goes to another queue under a table than under p.Table.
func movedBetween(p balance.Problem, table rss.Table) Moved {
	var m Moved
	var flows, load, moved uint64
	for i, b := range p.Buckets {
		flows, load = flows+b.Flows, load+b.Load
		if table[i] != p.Table[i] {
			m.Entries++
			m.Flows += b.Flows
			moved += b.Load
		}
	}
	for _, l := range p.Fixed {
		load += l
	}
	m.FlowShare, m.LoadShare = share(m.Flows, flows), share(moved, load)
	return m
}

// share returns a/b, 0 where b is 0.
func share(a, b uint64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
