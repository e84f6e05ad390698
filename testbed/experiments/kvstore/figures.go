package kvstore

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"lbctl/testbed/predict"
	"lbctl/testbed/report"
)

// Figures draws the evidence.
func Figures(arms map[string]Evidence, m predict.Model) (figures []report.Figure, err error) {
	t, way := newTally(arms[inTurn]), newTally(arms[wayOut])
	for _, draw := range []func() (report.Figure, error){
		func() (report.Figure, error) { return t.hops(m) },
		func() (report.Figure, error) {
			return t.heatMap("keys", "Which core served which key", "Any port, threads in turn: get requests by key and by the core of a store on which a thread served it. No key belongs to one core.")
		},
		func() (report.Figure, error) {
			return way.heatMap("keys-by-port", "The same with ports by the key", "The clients choose source ports by the key, and the store gives each connection to the thread on the core of its packets: every key has one core. The price: a key that is asked for often has only one core, too.")
		},
		func() (report.Figure, error) { return growth(t, way) },
	} {
		f, err := draw()
		if err != nil {
			return nil, err
		}
		figures = append(figures, f)
	}
	return figures, nil
}

// hops draws one connection hop by hop: what the models compute, and what was measured.
func (t tally) hops(m predict.Model) (report.Figure, error) {
	const name, title = "hops", "One connection, from 4-tuple to thread"
	c := t.followed()
	if c == nil || len(c.served) == 0 {
		return report.Hops(name, title, "No connection was seen by all witnesses at one place.", report.Hop{Label: "4-tuple", Value: "none"})
	}
	in := m.NIC.ClassifyFlow(c.flow)
	hash, slot := m.Slot(c.flow)
	q, _ := queue(c)
	core, _ := received(c)
	at, _ := store(c)
	last := c.served[len(c.served)-1]
	table := len(m.NIC.Config().Table)
	packets := report.Cell(c.seen.Packets) + " packets"
	return report.Hops(name, title, fmt.Sprintf(
		"NIC and load balancer hash the same 4-tuple; hash, index and slot are computed by the models, the rest was seen. The core of the packets, %d, comes from the queue; the core of the thread, %d, from whoever gave it the connection.", core, last.Core),
		report.Hop{Label: "4-tuple, tcp", Value: c.flow.Source.String(), Note: "to " + c.flow.Destination.String()},
		report.Lane{Name: "the network card", Hops: []report.Hop{
			{Via: "Toeplitz", Label: "hash", Value: fmt.Sprintf("0x%08x", in.Hash), Note: "computed"},
			{Via: fmt.Sprintf("mod %d", table), Label: "index", Value: fmt.Sprint(in.Index), Note: "of " + report.Cell(table)},
			{Via: "table", Label: "queue", Value: fmt.Sprint(q), Note: packets},
			{Via: "interrupt", Label: "core of packets", Value: fmt.Sprint(core), Note: packets},
		}},
		report.Lane{Name: "the load balancer", Hops: []report.Hop{
			{Via: m.Service.Hash.String(), Label: "hash", Value: fmt.Sprintf("0x%08x", hash), Note: "computed"},
			{Via: fmt.Sprintf("mod %d", m.Service.TableSize), Label: "slot", Value: fmt.Sprint(slot), Note: "of " + report.Cell(int(m.Service.TableSize))},
			{Via: m.Service.Scheduler.String(), Label: fmt.Sprintf("store %d", at), Value: t.Stores[at].Addr().String(), Note: fmt.Sprintf("port %d", t.Stores[at].Port())},
		}},
		report.Lane{Name: "the store", Hops: []report.Hop{
			{Via: "socket", Label: "core of packets", Value: fmt.Sprint(last.Softirq), Note: "softirq"},
			{Via: "in turn", Label: "thread", Value: fmt.Sprint(last.Thread), Note: fmt.Sprintf("%d requests", len(c.served))},
			{Via: "getcpu", Label: "core of thread", Value: fmt.Sprint(last.Core), Note: "application"},
		}})
}

// heatMap draws get requests by key and by the core that served them.
func (t tally) heatMap(name, title, caption string) (report.Figure, error) {
	matrix := report.Matrix{X: "key", Y: "store, core", Unit: "requests"}
	for key := range t.Plan.Keys {
		matrix.Columns = append(matrix.Columns, strconv.Itoa(key))
	}
	counts := map[int][]float64{}
	for _, c := range t.connections {
		at, ok := store(c)
		for _, s := range c.served {
			if s.Put || !ok || s.Key < 0 || s.Key >= t.Plan.Keys {
				continue
			}
			place := at*mostCores + s.Core
			if counts[place] == nil {
				counts[place] = make([]float64, t.Plan.Keys)
			}
			counts[place][s.Key]++
		}
	}
	for _, place := range slices.Sorted(maps.Keys(counts)) {
		matrix.Rows = append(matrix.Rows, fmt.Sprintf("%d, %d", place/mostCores, place%mostCores))
		matrix.Counts = append(matrix.Counts, counts[place])
	}
	if len(matrix.Rows) == 0 {
		matrix.Rows, matrix.Counts = []string{"none"}, [][]float64{make([]float64, t.Plan.Keys)}
	}
	return report.HeatMap(name, title, caption, matrix)
}

// growth draws at how many places a key has been after its first r connections.
func growth(t, way tally) (report.Figure, error) {
	queues, cores := t.spread(queue).places, t.spread(served).places
	chart := report.Chart{
		X: report.Axis{Label: "connections that have asked for the key, r", Max: float64(t.Plan.Times) + 0.5},
		Y: report.Axis{Label: "places of a key", Max: 1.3 * float64(max(queues, cores, 2))},
		Series: []report.Series{
			t.first("queues, any port", queue), t.first("cores, any port", served),
			way.first("cores, port by key", served),
		},
	}
	for _, n := range slices.Compact(slices.Sorted(slices.Values([]int{queues, cores}))) {
		if n > 1 {
			chart.Series = append(chart.Series, report.Curve(fmt.Sprintf("N(1 - (1 - 1/N)^r), N = %d", n), 0, float64(t.Plan.Times), func(r float64) float64 { return byChance(n, r) }))
		}
	}
	return report.Lines("growth", "How a key spreads", fmt.Sprintf(
		"Queues that requests for a key have come on, and cores of the stores on which they were served, after r connections have asked for it: means of %s keys, against what chance makes of N equal places.", report.Cell(t.Plan.Keys)), chart)
}

// first returns the mean number of places of the keys after their first r connections, in the order of the plan.
func (t tally) first(name string, at place) report.Series {
	byNumber := t.numbered()
	s := report.Series{Name: name, Style: report.Dots}
	sums := make([]float64, t.Plan.Times)
	for key := range t.Plan.Keys {
		places := map[int]bool{}
		for r, i := range t.Plan.Over(key) {
			if c := byNumber[i]; c != nil {
				if p, ok := at(c); ok {
					places[p] = true
				}
			}
			sums[r] += float64(len(places))
		}
	}
	for r, sum := range sums {
		s.Points = append(s.Points, report.Point{X: float64(r + 1), Y: sum / float64(t.Plan.Keys)})
	}
	return s
}

// numbered returns the connections by the clients' numbers.
func (t tally) numbered() map[int]*connection {
	byFlow := map[string]*connection{}
	for _, c := range t.connections {
		byFlow[c.flow.Source.String()] = c
	}
	all := map[int]*connection{}
	for _, r := range t.Requests {
		all[r.Connection] = byFlow[r.Flow.Source.String()]
	}
	return all
}
