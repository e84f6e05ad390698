package balance

import (
	"cmp"
	"slices"
	"sort"

	"lbctl/rss"
)

// LPT puts indivisible things on places, the largest first, each on the place with the least
// load, and returns the loads of the places (Graham, "Bounds on multiprocessing timing
// anomalies", 1969: the greatest is at most 4/3 of the optimum). fixed are the loads
// that are on the places already and cannot move. LPT sorts things, the largest first, and leaves fixed unchanged.
func LPT(things, fixed []uint64) []uint64 {
	return lpt(things, fixed, func(int, int) {})
}

// lpt calls put with the place of each thing, by its number after sorting.
func lpt(things, fixed []uint64, put func(thing, place int)) []uint64 {
	slices.SortFunc(things, func(a, b uint64) int { return cmp.Compare(b, a) })
	loads := slices.Clone(fixed)
	heap := make([]int, len(loads)) // of places, the least loaded at the root
	for i := range heap {
		heap[i] = i
	}
	less := func(a, b int) bool { return cmp.Or(cmp.Compare(loads[a], loads[b]), cmp.Compare(a, b)) < 0 }
	for i := len(heap)/2 - 1; i >= 0; i-- {
		sift(heap, i, less)
	}
	for i, thing := range things {
		loads[heap[0]] += thing
		put(i, heap[0])
		sift(heap, 0, less)
	}
	return loads
}

// sift moves the element at i down until the heap property holds.
func sift(heap []int, i int, less func(a, b int) bool) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(heap); child++ {
			if less(heap[child], heap[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		heap[i], heap[least] = heap[least], heap[i]
		i = least
	}
}

// Runs divides buckets into consecutive runs, one for each place in order, that minimise the
// greatest load of a place, and returns their lengths: exactly the best table that `ethtool -X weight` can set.
// fixed are the loads that are on the places already. A run may be empty.
func Runs(buckets, fixed []uint64) []int {
	var low, high uint64
	for _, b := range buckets {
		high += b
	}
	high += slices.Max(fixed)
	low = slices.Max(fixed)
	n := sort.Search(int(min(high-low, 1<<62)), func(extra int) bool {
		_, ok := runsWithin(buckets, fixed, low+uint64(extra))
		return ok
	})
	lengths, _ := runsWithin(buckets, fixed, low+uint64(n))
	return lengths
}

// runsWithin fills places in turn up to a limit. It returns false when buckets are left over.
func runsWithin(buckets, fixed []uint64, limit uint64) ([]int, bool) {
	lengths, at := make([]int, len(fixed)), 0
	for q, load := range fixed {
		for at < len(buckets) && load+buckets[at] <= limit {
			load += buckets[at]
			lengths[q]++
			at++
		}
	}
	return lengths, at == len(buckets)
}

// spread returns the table that LPT makes. Its groups of entries are assigned to queues so that many flows
// stay where they are: the group and queue with the most flows in common are paired first. A queue with a fixed
// load keeps the group that was built on that load.
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

// pair assigns a group of entries to a queue.
type pair struct {
	group int
	queue rss.Queue
}

// name returns the queue of each group; group is the group of each entry.
func (p *Problem) name(group []int) []rss.Queue {
	stay := map[pair]uint64{} // the flows that stay if the pair is chosen
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
