package balance

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lbctl/rss"
)

func drawProblem(t *rapid.T, entries, queues int) Problem {
	p := Problem{Queues: rapid.IntRange(1, queues).Draw(t, "queues"), Budget: rapid.Uint64Range(0, 60).Draw(t, "budget")}
	for range rapid.IntRange(1, entries).Draw(t, "entries") {
		p.Table = append(p.Table, rss.Queue(rapid.IntRange(0, queues).Draw(t, "queue")))
		p.Buckets = append(p.Buckets, Bucket{
			Load: rapid.Uint64Range(0, 30).Draw(t, "load"), Flows: rapid.Uint64Range(0, 9).Draw(t, "flows"),
		})
	}
	if rapid.Bool().Draw(t, "has fixed") {
		p.Fixed = []uint64{rapid.Uint64Range(0, 30).Draw(t, "fixed")}
	}
	return p
}

// effect computes the effect of a table independently.
func (p *Problem) effect(table rss.Table) (loads []uint64, entries int, flows, load, forced uint64) {
	loads = append(slices.Clone(p.Fixed), make([]uint64, p.Queues-len(p.Fixed))...)
	for i, q := range table {
		loads[q] += p.Buckets[i].Load
		if q == p.Table[i] {
			continue
		}
		entries++
		flows += p.Buckets[i].Flows
		load += p.Buckets[i].Load
		if int(p.Table[i]) >= p.Queues {
			forced += p.Buckets[i].Flows
		}
	}
	return loads, entries, flows, load, forced
}

// A plan's figures are correct, it keeps to the budget, and is never worse than making only the forced
// moves.
func TestRebalanceKeepsItsWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawProblem(t, 40, 6)
		table := slices.Clone(p.Table)
		plan, err := Rebalance(p)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(p.Table, table) {
			t.Fatal("the problem was written to")
		}
		if plan.Table.Queues() > p.Queues || len(plan.Table) != len(p.Table) {
			t.Fatalf("table %v over %d queues", plan.Table, p.Queues)
		}
		loads, entries, flows, load, forced := p.effect(plan.Table)
		want := Plan{Table: plan.Table, Loads: loads, Entries: entries, Flows: flows, Load: load, Steps: plan.Steps}
		if diff := cmp.Diff(want, plan); diff != "" {
			t.Errorf("plan (-counted +said):\n%s", diff)
		}
		if flows-forced > p.Budget {
			t.Errorf("%d flows move by choice, budget %d", flows-forced, p.Budget)
		}
		needed, _, _, _, _ := p.effect(p.evict())
		if slices.Max(loads) > slices.Max(needed) {
			t.Errorf("hottest %d, %d without any choice", slices.Max(loads), slices.Max(needed))
		}
		last := plan.Steps[len(plan.Steps)-1]
		if last != (Step{Entries: entries, Flows: flows, Hottest: slices.Max(loads)}) {
			t.Errorf("last step %+v of %+v", last, plan)
		}
	})
}

// In small problems, where everything can be tried, the plan is close to the best that the
// budget allows.
func TestRebalanceAgainstExhaustion(t *testing.T) {
	const seed, rounds = 3, 300
	random := rand.New(rand.NewPCG(seed, 1))
	worst, exact := 1.0, 0
	for range rounds {
		p := Problem{Queues: 3, Budget: uint64(random.IntN(30))}
		for range 8 {
			p.Table = append(p.Table, rss.Queue(random.IntN(3)))
			p.Buckets = append(p.Buckets, Bucket{Load: uint64(random.IntN(100)), Flows: uint64(random.IntN(9))})
		}
		plan, err := Rebalance(p)
		if err != nil {
			t.Fatal(err)
		}
		best := uint64(math.MaxUint64)
		for n := range 6561 { // 3^8 tables
			table := make(rss.Table, 8)
			for i := range table {
				table[i] = rss.Queue(n % 3)
				n /= 3
			}
			if loads, _, flows, _, _ := p.effect(table); flows <= p.Budget {
				best = min(best, slices.Max(loads))
			}
		}
		ratio := float64(slices.Max(plan.Loads)) / float64(best)
		worst = max(worst, ratio)
		if ratio == 1 {
			exact++
		}
	}
	if worst > 1.5 || exact < rounds/2 {
		t.Errorf("seed %d: at worst %.2f of the best possible, best in %d of %d", seed, worst, exact, rounds)
	}
	t.Logf("at worst %.2f of the best possible, best in %d of %d", worst, exact, rounds)
}

func TestRebalance(t *testing.T) {
	even := []Bucket{{10, 1}, {10, 1}, {10, 1}, {10, 1}}
	for _, c := range []struct {
		name    string
		problem Problem
		want    rss.Table
	}{
		{"even already", Problem{Table: rss.Table{0, 1, 0, 1}, Buckets: even, Queues: 2, Budget: 99}, rss.Table{0, 1, 0, 1}},
		{"one entry too many", Problem{Table: rss.Table{0, 0, 0, 1}, Buckets: even, Queues: 2, Budget: 1}, rss.Table{1, 0, 0, 1}},
		{"no budget", Problem{Table: rss.Table{0, 0, 0, 1}, Buckets: even, Queues: 2}, rss.Table{0, 0, 0, 1}},
		{"the one with fewer flows", Problem{
			Table: rss.Table{0, 0, 0, 1}, Buckets: []Bucket{{10, 9}, {10, 2}, {10, 9}, {10, 1}}, Queues: 2, Budget: 99,
		}, rss.Table{0, 1, 0, 1}},
		{"an elephant stays alone", Problem{
			Table: rss.Table{0, 0, 1}, Buckets: []Bucket{{100, 1}, {5, 5}, {5, 5}}, Queues: 2, Budget: 99,
		}, rss.Table{0, 1, 1}},
		{"a new queue", Problem{Table: rss.Table{0, 1, 0, 1}, Buckets: even, Queues: 4, Budget: 99}, rss.Table{2, 3, 0, 1}},
		{"a queue less, without budget", Problem{Table: rss.Table{0, 1, 2, 1}, Buckets: even, Queues: 2}, rss.Table{0, 1, 0, 1}},
		{"packets without a hash", Problem{
			Table: rss.Table{0, 1, 0, 1}, Buckets: even, Queues: 2, Fixed: []uint64{20}, Budget: 99,
		}, rss.Table{1, 1, 0, 1}},
		{"only an exchange helps", Problem{
			Table: rss.Table{0, 0, 1, 1}, Buckets: []Bucket{{30, 1}, {30, 1}, {20, 1}, {20, 1}}, Queues: 2, Budget: 99,
		}, rss.Table{1, 0, 0, 1}},
	} {
		plan, err := Rebalance(c.problem)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(plan.Table, c.want) {
			t.Errorf("%s: %v with loads %v, want %v", c.name, plan.Table, plan.Loads, c.want)
		}
	}
}

// A new table assigns groups to queues so that most flows stay; a queue with a fixed load keeps
// its group.
func TestSpreadKeepsNames(t *testing.T) {
	p := Problem{
		Table: rss.Table{2, 2, 0, 0, 1, 0}, Queues: 3,
		Buckets: []Bucket{{60, 5}, {30, 50}, {50, 7}, {30, 1}, {40, 3}, {30, 1}},
	}
	// LPT pairs the entries 0 and 5, 2 and 3, 4 and 1.
	table := p.spread()
	loads, _, flows, _, _ := p.effect(table)
	if slices.Max(loads) != 90 {
		t.Fatalf("table %v: loads %v", table, loads)
	}
	// All ways to name the same groups.
	fewest := uint64(math.MaxUint64)
	for _, names := range [][]rss.Queue{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		other := slices.Clone(table)
		for i := range other {
			other[i] = names[other[i]]
		}
		_, _, moved, _, _ := p.effect(other)
		fewest = min(fewest, moved)
	}
	if flows != fewest {
		t.Errorf("table %v moves %d flows, another naming %d", table, flows, fewest)
	}
	p.Fixed = []uint64{0, 0, 10}
	if loads, _, _, _, _ := p.effect(p.spread()); loads[2] == 10 || slices.Max(loads) > 90 {
		t.Errorf("with a fixed load: %v", loads)
	}
}

func TestRebalanceRefuses(t *testing.T) {
	one := []Bucket{{1, 1}}
	for name, p := range map[string]Problem{
		"no table":        {Queues: 1},
		"too few buckets": {Table: rss.Table{0, 0}, Buckets: one, Queues: 1},
		"no queues":       {Table: rss.Table{0}, Buckets: one},
		"too many queues": {Table: rss.Table{0}, Buckets: one, Queues: rss.MaxQueues + 1},
		"fixed on none":   {Table: rss.Table{0}, Buckets: one, Queues: 1, Fixed: []uint64{1, 1}},
	} {
		if plan, err := Rebalance(p); err == nil {
			t.Errorf("%s: %+v, want an error", name, plan)
		}
	}
}

// Runs against all possible divisions.
func TestRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		buckets := rapid.SliceOfN(rapid.Uint64Range(0, 20), 1, 8).Draw(t, "buckets")
		fixed := rapid.SliceOfN(rapid.Uint64Range(0, 20), 1, 4).Draw(t, "fixed")
		lengths := Runs(buckets, fixed)
		at, hottest := 0, uint64(0)
		for q, n := range lengths {
			load := fixed[q]
			for _, b := range buckets[at : at+n] {
				load += b
			}
			at, hottest = at+n, max(hottest, load)
		}
		if at != len(buckets) || len(lengths) != len(fixed) {
			t.Fatalf("runs %v of %d buckets", lengths, len(buckets))
		}
		if best := cut(buckets, fixed); hottest != best {
			t.Errorf("runs %v of %v on %v: hottest %d, possible %d", lengths, buckets, fixed, hottest, best)
		}
	})
}

func cut(buckets, fixed []uint64) uint64 {
	load := fixed[0]
	if len(fixed) == 1 {
		for _, b := range buckets {
			load += b
		}
		return load
	}
	best := max(load, cut(buckets, fixed[1:]))
	for i, b := range buckets {
		load += b
		best = min(best, max(load, cut(buckets[i+1:], fixed[1:])))
	}
	return best
}

func BenchmarkRebalance(b *testing.B) {
	for name, size := range map[string]int{"128": 128, "4096": 4096} {
		b.Run(name, func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 1))
			table, _ := rss.EqualTable(size, 16)
			p := Problem{Table: table, Queues: 16, Budget: math.MaxUint64}
			for range table {
				p.Buckets = append(p.Buckets, Bucket{Load: uint64(1000 / (1 - random.Float64())), Flows: 10})
			}
			for b.Loop() {
				if _, err := Rebalance(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The most queues that a plan can be for, and one more.
func TestMostQueues(t *testing.T) {
	p := Problem{Table: rss.Table{0}, Buckets: []Bucket{{Load: 1, Flows: 1}}, Queues: rss.MaxQueues}
	if err := p.validate(); err != nil {
		t.Error(err)
	}
	p.Queues++
	if err := p.validate(); err == nil {
		t.Errorf("%d queues are accepted", p.Queues)
	}
}
