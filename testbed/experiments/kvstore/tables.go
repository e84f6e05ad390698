package kvstore

import (
	"fmt"
	"slices"

	"lbctl/control/api"
	"lbctl/testbed/experiment"
	"lbctl/testbed/predict"
	"lbctl/testbed/report"
)

// predictions are what a student is asked. Their names are those of the quantities.
func predictions() []experiment.Prediction {
	return []experiment.Prediction{
		{Name: "flow-one-core", Kind: experiment.YesNo, Question: "Are all packets of a TCP connection worked on by one core?"},
		{Name: "key-one-core", Kind: experiment.YesNo, Question: "Are all requests for a key handled by threads on one core?"},
		{Name: "queues-of-a-key", Unit: "queues", Tolerance: 0.2, Question: "A key is requested over some connections (the parameter times says how many), which are chosen at random, through a NIC with several receive queues (the parameter queues). On how many of the queues do its requests come, on average?"},
		{Name: "moved-by-table", Unit: "%", Tolerance: 12, Question: "While connections are open, every second entry of the NIC's indirection table is changed to name the next queue. What percentage of the connections change their queue?"},
		{Name: "key-one-core-by-port", Kind: experiment.YesNo, Question: "The clients choose their source ports by the key, so that all its connections come to one queue and one store. The store hands new connections to its threads in turn. Are all requests for a key now handled by threads on one core?"},
	}
}

// answer enters the headline, and what the predictions are held against.
func answer(r *experiment.Run, arms map[string]Evidence) {
	t, way, turn, table := newTally(arms[inTurn]), newTally(arms[wayOut]), newTally(arms[byKeyInTurn]), newTally(arms[rewrittenTable])
	flow, moved, key := t.flowOneCore(), table.flowOneQueue(), way.keyOneCore()
	queues, cores := t.spread(queue), t.spread(served)
	r.Headline("The packets of %s of %s connections were worked on by more than one core; %s of %s keys were served on more than one core of the stores, %.1f of %d on average over %d connections each, and on one core for %s keys once the clients chose their ports by the key and the store its threads by the core.",
		report.Cell(flow.Measured), report.Cell(len(t.connections)), report.Cell(cores.several), report.Cell(t.Plan.Keys), cores.mean(), cores.places, t.Plan.Times, report.Cell(key.Measured))
	why := func(t tally) string {
		if len(t.gaps) > 0 {
			return t.gaps[0]
		}
		return ""
	}
	r.Quantity(
		report.Quantity{Name: "flow-one-core", Value: flow.Measured == 0, Why: why(t)},
		report.Quantity{Name: "key-one-core", Value: cores.several == 0, Why: why(t)},
		report.Quantity{Name: "queues-of-a-key", Value: queues.mean(), Unit: "queues", Why: why(t)},
		report.Quantity{Name: "moved-by-table", Value: 100 * float64(moved.Measured.(int)) / float64(max(len(table.connections), 1)), Unit: "%", Why: why(table)},
		report.Quantity{Name: "key-one-core-by-port", Value: turn.spread(served).several == 0, Why: why(turn)},
	)
}

// Tables are the evidence in numbers, the answers first.
func Tables(arms map[string]Evidence, checks []report.Check, m predict.Model, explained *api.Explanation) []report.Table {
	t, way := newTally(arms[inTurn]), newTally(arms[wayOut])
	all := []report.Table{claims(checks), ladder(arms)}
	if hops, ok := t.hopTable(m, explained); ok {
		all = append(all, hops)
	}
	return append(all,
		t.oneKey("one key, any port, threads in turn: connection by connection", m),
		way.oneKey("one key, ports by the key, thread of the core: connection by connection", m))
}

// claims answers the textbook's questions from the checks.
func claims(checks []report.Check) report.Table {
	return experiment.Claims(checks,
		experiment.Finding{
			Question: "(a) Are the interrupts for all packets of a TCP flow delivered to the same core?",
			Answer:   "Yes. They have one 4-tuple, hence one hash, one queue, one core.",
			Checks:   []string{FlowOneQueue, FlowOneCore, QueueAsPredicted},
		},
		experiment.Finding{
			Question: "(b) Are all get requests for a key handled by the same core at the application layer?",
			Answer:   "No. They come over connections with different 4-tuples, on different queues, and their threads run on different cores.",
			Checks:   []string{KeyManyQueues, KeyManyCores, MemcachedManyThreads},
		},
		experiment.Finding{
			Question: "Can they be?",
			Answer:   "Yes, if the clients choose source ports whose hash names one queue for the key, and the store gives a connection to the thread on the core that its packets come on. The ports alone are not enough.",
			Checks:   []string{KeyOneCore, ServedWhereReceived},
		})
}

// ladder shows who has to agree until a key has one core.
func ladder(arms map[string]Evidence) report.Table {
	table := report.Table{
		Name:    "who has to agree: keys that have one",
		Columns: []string{"arm", "keys", "one queue", "one core of packets", "one store", "one core of threads", "requests served where received, %"},
	}
	for _, name := range []string{inTurn, perCore, byKeyInTurn, byAnotherKey, wayOut} {
		t := newTally(arms[name])
		off, all := t.elsewhere()
		table.Rows = append(table.Rows, []any{
			name, t.Plan.Keys, t.spread(queue).one(), t.spread(received).one(), t.spread(store).one(), t.spread(served).one(),
			round(100 * float64(all-off) / float64(max(all, 1))),
		})
	}
	return table
}

// followed is the connection that the report follows: the one in the middle by its number of packets.
func (t tally) followed() *connection {
	whole := slices.DeleteFunc(slices.Clone(t.connections), func(c *connection) bool {
		_, one := queue(c)
		_, core := received(c)
		_, at := store(c)
		return !one || !core || !at
	})
	if len(whole) == 0 {
		return nil
	}
	slices.SortStableFunc(whole, func(a, b *connection) int { return int(a.packets) - int(b.packets) })
	return whole[len(whole)/2]
}

// hopTable compares, for the connection that the report follows, the models with the answer of `lbctl explain` and with
// what was seen.
func (t tally) hopTable(m predict.Model, explained *api.Explanation) (report.Table, bool) {
	c := t.followed()
	if c == nil || explained == nil || len(c.served) == 0 {
		return report.Table{}, false
	}
	in := m.NIC.ClassifyFlow(c.flow)
	hash, slot := m.Slot(c.flow)
	q, _ := queue(c)
	core, _ := received(c)
	at, _ := store(c)
	named := "none"
	if explained.Slot != nil {
		named = fmt.Sprint(*explained.Slot)
	}
	last := c.served[len(c.served)-1]
	return report.Table{
		Name: "one connection: " + c.flow.String(), Columns: []string{"hop", "model", "lbctl explain", "seen", "by"},
		Rows: [][]any{
			{"hash of the NIC, and index", fmt.Sprintf("0x%08x, %d", in.Hash, in.Index), "", "", ""},
			{"queue", fmt.Sprint(in.Queue), "", fmt.Sprint(q), "the observer in the kernel"},
			{"core of the packets, balancer", "", "", fmt.Sprint(core), "the observer in the kernel"},
			{"hash of the load balancer, and slot", fmt.Sprintf("0x%08x, %d", hash, slot), fmt.Sprintf("%s, %s", explained.Hash, named), "", ""},
			{"store", fmt.Sprintf("%d, %v", m.Replica(c.flow), t.Stores[m.Replica(c.flow)]), explained.Replica, fmt.Sprint(at), "the capture on its link"},
			{"core of the packets, store", "", "", fmt.Sprint(last.Softirq), "SO_INCOMING_CPU of the socket"},
			{"thread", "", "", fmt.Sprint(last.Thread), "the store"},
			{"core of the thread", "", "", fmt.Sprint(last.Core), "getcpu(2)"},
		},
	}, true
}

// mostRows is how many connections of a key the report lists.
const mostRows = 12

// oneKey lists the connections of one key, from 4-tuple to thread: the first key of those with the most queues and cores.
func (t tally) oneKey(name string, m predict.Model) report.Table {
	table := report.Table{Name: name, Columns: []string{"key", "client", "queue", "core of packets", "slot", "store", "thread", "core of thread"}}
	queues, cores, key := t.spread(queue).per, t.spread(served).per, 0
	for k := range queues {
		if queues[k]+cores[k] > queues[key]+cores[key] {
			key = k
		}
	}
	for _, c := range t.connections {
		if !c.keys[key] || len(c.served) == 0 || len(table.Rows) == mostRows {
			continue
		}
		q, _ := queue(c)
		core, _ := received(c)
		at, _ := store(c)
		_, slot := m.Slot(c.flow)
		last := c.served[len(c.served)-1]
		table.Rows = append(table.Rows, []any{fmt.Sprintf("key-%d", key), c.flow.Source.String(), fmt.Sprint(q), fmt.Sprint(core), fmt.Sprint(slot), fmt.Sprint(at), fmt.Sprint(last.Thread), fmt.Sprint(last.Core)})
	}
	return table
}
