package change

import (
	"fmt"
	"math"
	"strconv"

	"lbctl/lb"
	"lbctl/rss/balance"
	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
)

// predictions are what a student is asked. Their names are those of the quantities.
func predictions() []experiment.Prediction {
	return []experiment.Prediction{
		{Name: "moved-modulo-added", Unit: "%", Tolerance: 8, Question: "A load balancer sends packets to replica h mod N and remembers nothing. One replica is added to N, the parameter replicas. What percentage of the live connections comes to another replica?"},
		{Name: "moved-modulo-removed", Unit: "%", Tolerance: 8, Question: "The same, and one of the N replicas is removed. What percentage of the live connections comes to another replica?"},
		{Name: "moved-maglev-added", Unit: "%", Tolerance: 8, Question: "The load balancer has a consistent table (Maglev) instead, and one replica is added to the N. What percentage of the live connections comes to another replica?"},
		{Name: "broke-remembered", Unit: "%", Question: "The load balancer remembers the flows of slots that have changed, and a replica is drained before it goes. What percentage of the live connections breaks?"},
		{Name: "queues-one-key", Unit: "queues", Question: "Load balancer (h mod N) and replicas' network cards hash with one function and key, and N is a power of two, as is the number of queues. How many queues of a replica get packets, on average?"},
	}
}

// answer enters the headline, and what the predictions are held against.
func (e Evidence) answer(r *experiment.Run) {
	find := func(kept bool, s lb.Scheduler, h how) count {
		return sum(e.where(func(w Way) bool { return w.Kept == kept && w.Before.Scheduler == s && w.How == h }), 0)
	}
	added, removed, maglev := find(false, lb.Modulo, grow), find(false, lb.Modulo, remove), find(false, lb.Maglev, grow)
	kept := sum(e.kept(), 0)
	same, all := e.hashed(SameKey).used()
	replicas := len(e.hashed(SameKey).Frames)
	r.Headline("When one replica was added, h mod N moved %s of 100 live connections and Maglev %s, and each of these broke; where flows were remembered %s of %s broke. With one hash in load balancer and network cards %d of %d queues stayed empty.",
		report.Cell(hundred(added)), report.Cell(hundred(maglev)), report.Cell(kept.broke), report.Cell(kept.connections), all-same, all)
	r.Quantity(
		report.Quantity{Name: "moved-modulo-added", Value: hundred(added), Unit: "%"},
		report.Quantity{Name: "moved-modulo-removed", Value: hundred(removed), Unit: "%"},
		report.Quantity{Name: "moved-maglev-added", Value: hundred(maglev), Unit: "%"},
		report.Quantity{Name: "broke-remembered", Value: 100 * float64(kept.broke) / math.Max(1, float64(kept.connections)), Unit: "%"},
		report.Quantity{Name: "queues-one-key", Value: float64(same) / math.Max(1, float64(replicas)), Unit: "queues"},
	)
}

// hundred is how many of 100 moved.
func hundred(c count) float64 {
	return math.Round(1000*float64(c.moved)/math.Max(1, float64(c.connections))) / 10
}

// tables are the evidence in numbers.
func (e Evidence) tables() []report.Table {
	ways := report.Table{Name: "when the number of replicas changes", Columns: []string{
		"table", "change", "flows", "connections", "slot changed", "at least, by any table", "came to another replica", "broke", "theory, %",
	}}
	for _, w := range e.Ways {
		c, flows := w.count(0), "not remembered"
		if w.Kept {
			flows = "remembered"
		}
		ways.Rows = append(ways.Rows, []any{
			name(w.Before.Scheduler), string(w.How), flows, c.connections, c.predicted, c.least, c.moved, c.broke, math.Round(1000*w.share()) / 10,
		})
	}
	hashed := report.Table{Name: "queues of the replicas' network cards", Columns: []string{"arm", "replica", "connections", "queues with frames", "of", "frames by queue"}}
	for _, h := range e.Hashed {
		for i, row := range h.Frames {
			used := 0
			for _, frames := range row {
				used += experiment.One(frames > 0)
			}
			hashed.Rows = append(hashed.Rows, []any{h.Name, strconv.Itoa(i), len(h.Flows[i]), used, len(row), fmt.Sprint(row)})
		}
	}
	return []report.Table{ways, hashed}
}

// name is what the report calls a table.
func name(s lb.Scheduler) string {
	if s == lb.Modulo {
		return "h mod N"
	}
	return "Maglev"
}

// figures draws the evidence.
func (e Evidence) figures() ([]report.Figure, error) {
	moved, err := e.bars(e.bare(), func(c count) int { return c.moved }, Way.share)
	if err != nil {
		return nil, err
	}
	broke, err := e.bars(e.kept(), func(c count) int { return c.broke }, func(Way) float64 { return 0 })
	if err != nil {
		return nil, err
	}
	shares, err := report.Shares("moves", "Live connections when one replica comes or goes",
		"Left: those whose packets came to another replica, which does not know them, so that they broke; nothing was remembered. Dashed: N/(N+1) and (N-1)/N for h mod N, the share of the slots that changed for Maglev. Grey: where chance alone keeps it in 95 of 100 runs. Right: those that broke where flows were remembered and the replica that goes was drained.",
		report.Panel{X: "without memory of flows", Y: "connections, of 100", Shares: moved},
		report.Panel{X: "with memory of flows", Y: "connections, of 100", Shares: broke})
	if err != nil {
		return nil, err
	}
	figures := []report.Figure{shares}
	for i, h := range e.Hashed {
		f, err := h.figure(fmt.Sprintf("queues-%d", i+1))
		if err != nil {
			return nil, err
		}
		figures = append(figures, f)
	}
	return figures, nil
}

// bars are what became of 100 connections of each way.
func (e Evidence) bars(ways []Way, of func(count) int, theory func(Way) float64) (all []report.Share, err error) {
	for _, w := range ways {
		c, p := w.count(0), theory(w)
		n := max(c.connections, 1)
		bands, err := balance.ShareBands(n, []float64{p, 1 - p}, 0.95)
		if err != nil {
			return nil, fmt.Errorf("draw moves: %w", err)
		}
		label := map[how]string{grow: "+1", drain: "-1", remove: "-1"}[w.How]
		scale := 100 / float64(n)
		all = append(all, report.Share{
			Label: name(w.Before.Scheduler) + " " + label, Count: math.Round(10*scale*float64(of(c))) / 10, Expected: 100 * p,
			Low: scale * float64(bands[0].Low), High: scale * float64(bands[0].High),
		})
	}
	return all, nil
}

// figure draws the frames of an arm by replica and queue.
func (h Hashed) figure(file string) (report.Figure, error) {
	used, all := h.used()
	m := report.Matrix{X: "receive queue of the replica's network card", Y: "replica", Unit: "frames"}
	for i, row := range h.Frames {
		m.Rows = append(m.Rows, strconv.Itoa(i))
		var counts []float64
		for _, frames := range row {
			counts = append(counts, float64(frames))
		}
		m.Counts = append(m.Counts, counts)
	}
	for q := range m.Counts[0] {
		m.Columns = append(m.Columns, strconv.Itoa(q))
	}
	return report.HeatMap(file, "Queues at the replicas: "+h.Name, fmt.Sprintf(
		"Frames by the replica and the queue on which its network card put them, by its own counters: %d of %d queues have any.", used, all), m)
}
