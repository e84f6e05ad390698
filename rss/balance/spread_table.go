package balance

import (
	"cmp"
	"slices"

	"lbctl/rss"
)

// spread returns the table that LPT makes. Its queues are named so that the entries with the most
// flows stay: the group and queue that share most are paired first. A queue with fixed load keeps
// its name.
func (p *Problem) spread() rss.Table {
	order := make([]int, len(p.Buckets)) // of entries, as lpt sorts their loads
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p.Buckets[b].Load, p.Buckets[a].Load) })
	loads := make([]uint64, len(order))
	for i, entry := range order {
		loads[i] = p.Buckets[entry].Load
	}
	group := make([]int, len(order))
	lpt(loads, p.fixed(), func(thing, place int) { group[order[thing]] = place })
	names := p.name(group)
	table := make(rss.Table, len(group))
	for i, g := range group {
		table[i] = names[g]
	}
	return table
}

// pair is a group of entries and a queue, and the flows that stay when one gets the other's name.
type pair struct {
	group int
	queue rss.Queue
}

func (p *Problem) name(group []int) []rss.Queue {
	stay := map[pair]uint64{}
	for i, g := range group {
		if q := p.Table[i]; int(q) < p.Queues {
			stay[pair{g, q}] += p.Buckets[i].Flows
		}
	}
	var pairs []pair
	for it := range stay {
		pairs = append(pairs, it)
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(stay[b], stay[a]), cmp.Compare(a.group, b.group), cmp.Compare(a.queue, b.queue))
	})
	names, named, taken := make([]rss.Queue, p.Queues), make([]bool, p.Queues), make([]bool, p.Queues)
	give := func(g int, q rss.Queue) {
		if !named[g] && !taken[q] {
			names[g], named[g], taken[q] = q, true, true
		}
	}
	for q, f := range p.Fixed {
		if f > 0 {
			give(q, rss.Queue(q))
		}
	}
	for _, it := range pairs {
		give(it.group, it.queue)
	}
	for g := range names {
		for q := range taken {
			give(g, rss.Queue(q))
		}
	}
	return names
}
