package balance

import (
	"cmp"
	"slices"

	"lbctl/rss"
)

// search improves a table step by step.
type search struct {
	*Problem
	table rss.Table
	loads []uint64
	// of are the entries of each queue, by decreasing load.
	of [][]int
	// flows, load and entries are what has moved; forced are the flows that had to move.
	flows, load, forced uint64
	entries             int
	steps               []Step
}

func newSearch(p *Problem, table rss.Table) *search {
	s := &search{Problem: p, table: table, loads: p.fixed(), of: make([][]int, p.Queues)}
	for i, q := range table {
		s.loads[q] += p.Buckets[i].Load
		s.of[q] = append(s.of[q], i)
		if q == p.Table[i] {
			continue
		}
		s.flows += p.Buckets[i].Flows
		s.load += p.Buckets[i].Load
		s.entries++
		if int(p.Table[i]) >= p.Queues {
			s.forced += p.Buckets[i].Flows
		}
	}
	for _, entries := range s.of {
		s.sort(entries)
	}
	s.note()
	return s
}

func (s *search) sort(entries []int) {
	slices.SortFunc(entries, func(a, b int) int {
		return cmp.Or(cmp.Compare(s.Buckets[b].Load, s.Buckets[a].Load), cmp.Compare(a, b))
	})
}

func (s *search) hottest() uint64 { return slices.Max(s.loads) }

func (s *search) note() {
	s.steps = append(s.steps, Step{Entries: s.entries, Flows: s.flows, Hottest: s.hottest()})
}

// maxMoves bounds the time. The search ends without it, because every move lowers the sum of the
// squares of the loads.
const maxMoves = 1 << 14

// run moves entries until no move helps or the budget is spent.
func (s *search) run() {
	for range maxMoves {
		m, found := s.best()
		if !found {
			return
		}
		s.move(m.out, m.to)
		if m.back >= 0 {
			s.move(m.back, m.from)
		}
		s.note()
	}
}

// move moves entry out to another queue, and entry back in exchange for it unless that is -1.
type move struct {
	out, back int
	from, to  rss.Queue
	// gain is the decrease of the load of the busier queue; cost is the number of flows that move, below 0
	// when flows return to their first queue.
	gain uint64
	cost int64
}

// better tells whether m gains more for each flow than n.
func (m *move) better(n *move) bool {
	// Moves without cost compare by their gain.
	a, b := float64(m.gain)/float64(max(m.cost, 0)+1), float64(n.gain)/float64(max(n.cost, 0)+1)
	return a > b
}

// best returns the best move out of the busiest queue that the budget allows.
func (s *search) best() (move, bool) {
	from := rss.Queue(slices.Index(s.loads, s.hottest()))
	best, found := move{}, false
	consider := func(out, back int, to rss.Queue) {
		m, ok := s.measure(out, back, from, to)
		if ok && (!found || m.better(&best)) {
			best, found = m, true
		}
	}
	for _, to := range s.targets(from) {
		for _, out := range s.of[from] {
			consider(out, -1, to)
		}
	}
	if found {
		return best, true
	}
	for _, to := range s.targets(from) {
		for _, out := range s.of[from] {
			for _, back := range s.partners(out, from, to) {
				consider(out, back, to)
			}
		}
		if found {
			break
		}
	}
	return best, found
}

// maxTargets is the number of least loaded queues that are tried.
const maxTargets = 16

// targets returns the least loaded queues except from, in increasing order of load.
func (s *search) targets(from rss.Queue) []rss.Queue {
	all := make([]rss.Queue, 0, len(s.loads))
	for q := range s.loads {
		if rss.Queue(q) != from {
			all = append(all, rss.Queue(q))
		}
	}
	slices.SortFunc(all, func(a, b rss.Queue) int {
		return cmp.Or(cmp.Compare(s.loads[a], s.loads[b]), cmp.Compare(a, b))
	})
	return all[:min(len(all), maxTargets)]
}

// partners returns the entries of a queue that are best exchanged for out: those just above and just
// below the load that would make both queues equal.
func (s *search) partners(out int, from, to rss.Queue) []int {
	half := (s.loads[from] - s.loads[to]) / 2
	load := s.Buckets[out].Load
	ideal := load - min(load, half)
	at, _ := slices.BinarySearchFunc(s.of[to], ideal, func(entry int, ideal uint64) int {
		return cmp.Compare(ideal, s.Buckets[entry].Load)
	})
	return s.of[to][max(0, at-1):min(len(s.of[to]), at+1)]
}

// measure returns a move with its gain and cost, and false when it gains nothing or exceeds the budget.
func (s *search) measure(out, back int, from, to rss.Queue) (move, bool) {
	m := move{out: out, back: back, from: from, to: to, cost: s.cost(out, to)}
	gives, takes := s.Buckets[out].Load, uint64(0)
	if back >= 0 {
		takes = s.Buckets[back].Load
		m.cost += s.cost(back, from)
	}
	hot := s.loads[from]
	after := max(hot-gives+takes, s.loads[to]+gives-takes)
	if after >= hot {
		return m, false
	}
	m.gain = hot - after
	return m, m.cost <= 0 || s.flows-min(s.flows, s.forced)+uint64(m.cost) <= s.Budget
}

// cost returns the number of flows that move with an entry to a queue, below 0 when they return to their first queue.
func (s *search) cost(entry int, to rss.Queue) int64 {
	flows := int64(s.Buckets[entry].Flows)
	switch s.Table[entry] {
	case s.table[entry]:
		return flows
	case to:
		return -flows
	}
	return 0
}

// move moves an entry to a queue.
func (s *search) move(entry int, to rss.Queue) {
	b, from := s.Buckets[entry], s.table[entry]
	switch s.Table[entry] {
	case from:
		s.flows, s.load, s.entries = s.flows+b.Flows, s.load+b.Load, s.entries+1
	case to:
		s.flows, s.load, s.entries = s.flows-b.Flows, s.load-b.Load, s.entries-1
	}
	s.loads[from] -= b.Load
	s.loads[to] += b.Load
	s.table[entry] = to
	s.of[from] = slices.DeleteFunc(s.of[from], func(e int) bool { return e == entry })
	s.of[to] = append(s.of[to], entry)
	s.sort(s.of[to])
}

func (s *search) plan() Plan {
	return Plan{
		Table: s.table, Loads: s.loads,
		Entries: s.entries, Flows: s.flows, Load: s.load, Steps: s.steps,
	}
}
