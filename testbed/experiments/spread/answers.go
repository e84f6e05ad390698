package spread

import (
	"lbctl/testbed/experiment"
	"lbctl/testbed/report"
)

// predictions are what a student is asked. Their names are those of the quantities.
func predictions() []experiment.Prediction {
	return []experiment.Prediction{
		{Name: "one-queue-and-core", Kind: experiment.YesNo, Question: "Do all packets of a TCP connection come on one receive queue, and to one core?"},
		{Name: "one-replica", Kind: experiment.YesNo, Question: "Are all packets of a TCP connection sent to one replica?"},
		{Name: "object-from-one-replica", Kind: experiment.YesNo, Question: "Are all requests for a web object sent to one replica?"},
		{Name: "replicas-of-an-object", Unit: "replicas", Tolerance: 0.2, Question: "Each object is requested over about R/O different connections, where R and O are the parameters requests and objects. How many replicas have served an object at the end, on average?"},
		{Name: "busiest-replica-hot", Unit: "times the mean", Tolerance: 0.3, Question: "Some objects are hot: of 64 objects one has more than a fourth of all requests (Zipf's law with exponent 1.2). How many times as many requests as the mean of the replicas does the busiest replica get?"},
		{Name: "moved-by-table", Unit: "%", Tolerance: 12, Question: "While connections are open, every second entry of the NIC's indirection table is changed to name the next queue. What share of the connections change their queue, in %?"},
		{Name: "moved-by-removal", Unit: "%", Tolerance: 12, Question: "While connections are open, one of the replicas is removed, and the load balancer remembers no connection. What share of the connections are sent to a second replica, in %?"},
	}
}

// answer enters the headline, and what the predictions are held against. Hot, rewritten and removed are the arms in
// which some objects are hot, the table was rewritten and a replica was removed.
func answer(r *experiment.Run, main, hot, rewritten, removed Evidence) {
	t := newTally(main)
	o := t.objects()
	several, pairs := o.spread()
	queues, replicas := t.split()
	r.Headline("Of %s connections with %s packets, %s came on a second queue or core and %s went to a second replica; %s of %s objects came from more than one of %d replicas.",
		report.Cell(len(t.connections)), report.Cell(t.packets()), report.Cell(queues), report.Cell(replicas), report.Cell(several), report.Cell(t.Objects), len(t.Replicas))
	seen, asked := "", ""
	if len(t.queueGaps) > 0 {
		seen = t.queueGaps[0]
	}
	if len(t.replicaGaps) > 0 {
		asked = t.replicaGaps[0]
	}
	moved, _ := newTally(rewritten).split()
	_, sent := newTally(removed).split()
	r.Quantity(
		report.Quantity{Name: "one-queue-and-core", Value: queues == 0, Why: seen},
		report.Quantity{Name: "one-replica", Value: replicas == 0, Why: asked},
		report.Quantity{Name: "object-from-one-replica", Value: several == 0, Why: asked},
		report.Quantity{Name: "replicas-of-an-object", Value: ratio(pairs, t.Objects), Unit: "replicas", Why: asked},
		report.Quantity{Name: "busiest-replica-hot", Value: newTally(hot).loads().replica, Unit: "times the mean"},
		report.Quantity{Name: "moved-by-table", Value: ratio(100*moved, len(newTally(rewritten).connections)), Unit: "%"},
		report.Quantity{Name: "moved-by-removal", Value: ratio(100*sent, len(newTally(removed).connections)), Unit: "%"},
	)
}

// split counts the connections on more than one queue or core, and those at more than one replica.
func (t tally) split() (queues, replicas int) {
	for _, c := range t.connections {
		queues += experiment.One(c.seen != nil && (len(c.seen.Queues) > 1 || len(c.seen.CPUs) > 1))
		replicas += experiment.One(len(c.replicas()) > 1)
	}
	return queues, replicas
}

// packets counts what was captured at the replicas, in both directions.
func (t tally) packets() (n uint64) {
	for _, c := range t.connections {
		n += c.packets
	}
	return n
}

// ratio returns a / b, nil of nothing.
func ratio(a, b int) any {
	if b == 0 {
		return nil
	}
	return float64(a) / float64(b)
}
