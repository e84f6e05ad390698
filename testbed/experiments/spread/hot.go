package spread

import (
	"errors"
	"fmt"
	"slices"

	"lbctl/rss/balance"
	"lbctl/rss/packet"
	"lbctl/testbed/predict"
	"lbctl/testbed/report"
)

// zipf is the exponent of Zipf's law in the arm with hot objects: of 64 objects one then has 29 % of the requests.
const zipf = 1.2

// hotSpread demands of an arm with hot objects what objectSpread does: a hot object comes from as many replicas, and the
// replicas have as equal shares, as when all objects are asked for equally often.
func (t tally) hotSpread(shares []float64) report.Check {
	c := t.objectSpread(shares)
	c.Name = HotObjectSpread
	o := t.objects()
	if len(o.askers) == 0 {
		return unmeasurable(c, errors.New("no object"))
	}
	hot := o.hottest()
	served := o.servedBy(hot)
	one, err := balance.SpreadPairs([]int{o.askers[hot]}, shares)
	if err != nil {
		return unmeasurable(c, err)
	}
	c.Pass = c.Pass && served > 1 && byChance(served, one)
	c.Detail = fmt.Sprintf("Object %d had %.0f %% of all requests, over %s connections, and %d of %d replicas served it; chance expects %.1f. %s",
		hot, 100*o.share(hot), report.Cell(o.askers[hot]), served, len(t.Replicas), one.Mean, c.Detail)
	return c
}

// hottest returns the object with the most requests.
func (o objects) hottest() (hot int) {
	for object := range o.askers {
		if o.of(object) > o.of(hot) {
			hot = object
		}
	}
	return hot
}

// of returns the number of requests for an object, 0 if there is none.
func (o objects) of(object int) (n int) {
	for _, row := range o.requests {
		if object < len(row) {
			n += row[object]
		}
	}
	return n
}

// share returns an object's share of all requests.
func (o objects) share(object int) float64 {
	all := 0
	for other := range o.askers {
		all += o.of(other)
	}
	return float64(o.of(object)) / float64(max(all, 1))
}

// loads are how much the busiest of several has to do, as a multiple of the mean.
type loads struct {
	// replica is by requests, core by packets; bound is that of a replica if every object belonged to one, object mod N.
	replica, core, bound float64
}

func (t tally) loads() loads {
	o := t.objects()
	replicas, bound := make([]float64, len(o.requests)), make([]float64, len(o.requests))
	for i, row := range o.requests {
		for object, n := range row {
			replicas[i] += float64(n)
			bound[object%len(bound)] += float64(n)
		}
	}
	perCore := map[int]float64{}
	for _, c := range t.connections {
		if c.seen == nil {
			continue
		}
		for _, cpu := range c.seen.CPUs { // one, where nothing is wrong
			perCore[cpu] += float64(c.seen.Packets) / float64(len(c.seen.CPUs))
		}
	}
	var cores []float64
	for _, n := range perCore {
		cores = append(cores, n)
	}
	return loads{replica: busiest(replicas), core: busiest(cores), bound: busiest(bound)}
}

// busiest returns the largest as a multiple of the mean, to two decimals.
func busiest(all []float64) float64 {
	sum := 0.0
	for _, n := range all {
		sum += n
	}
	if sum == 0 {
		return 0
	}
	return float64(int(100*slices.Max(all)*float64(len(all))/sum+0.5)) / 100
}

// hotTable compares equally popular objects with hot ones.
func hotTable(popularity float64, main, hot tally) report.Table {
	table := report.Table{Name: "hot objects: the busiest, as a multiple of the mean", Columns: []string{
		"exponent of Zipf's law", "requests", "share of the hottest object, %", "replicas that served it", "busiest replica, requests", "busiest core, packets", "busiest replica, if an object belonged to one",
	}}
	for _, row := range []struct {
		exponent float64
		tally
	}{{popularity, main}, {zipf, hot}} {
		o, l := row.objects(), row.loads()
		object := o.hottest()
		table.Rows = append(table.Rows, []any{row.exponent, len(row.Requests), 100 * o.share(object), o.servedBy(object), l.replica, l.core, l.bound})
	}
	return table
}

// mostRows is how many connections of an object the report lists.
const mostRows = 12

// oneObject lists the first connections that asked for the hottest object, from 4-tuple to replica.
func (t tally) oneObject(m predict.Model) report.Table {
	o := t.objects()
	object := 0
	if len(o.askers) > 0 {
		object = o.hottest()
	}
	table := report.Table{Name: fmt.Sprintf("one object, number %d: connection by connection", object), Columns: []string{"client", "hash of the NIC", "queue", "core", "hash of the load balancer", "slot", "replica"}}
	byFlow := map[packet.Flow]*connection{}
	for _, c := range t.connections {
		byFlow[c.flow] = c
	}
	listed := map[packet.Flow]bool{}
	for _, r := range t.Requests {
		c := byFlow[r.Flow]
		if r.Object != object || c == nil || c.seen == nil || listed[r.Flow] || len(table.Rows) == mostRows {
			continue
		}
		listed[r.Flow] = true
		hash, slot := m.Slot(c.flow)
		table.Rows = append(table.Rows, []any{
			c.flow.Source.String(), fmt.Sprintf("0x%08x", m.NIC.ClassifyFlow(c.flow).Hash), listing(c.seenQueues()), listing(c.seen.CPUs),
			fmt.Sprintf("0x%08x", hash), fmt.Sprint(slot), listing(c.replicas()),
		})
	}
	return table
}

// listing writes numbers with commas.
func listing[N any](all []N) string {
	text := ""
	for i, n := range all {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprint(n)
	}
	return text
}
