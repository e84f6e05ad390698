package kvstore

import (
	"fmt"
	"math"

	"lbctl/lb"
	"lbctl/rss/packet"
	"lbctl/testbed/experiment"
	"lbctl/testbed/predict"
	"lbctl/testbed/report"
)

// Names of the checks.
const (
	FlowOneQueue         = "flow-one-queue"
	FlowOneCore          = "flow-one-core"
	QueueAsPredicted     = "queue-as-predicted"
	KeyManyQueues        = "key-many-queues"
	KeyManyCores         = "key-many-cores"
	MemcachedManyThreads = "memcached-many-threads"
	KeyOneCore           = "key-one-core"
	ServedWhereReceived  = "served-where-received"
	NothingLost          = "nothing-lost"
)

// least is the probability below which a number of places is not chance. Three checks are of this kind, so that 3 in
// 100,000 runs fail though nothing is wrong.
const least = 1e-5

// Checks compares the evidence of the arms with the claims and with the model.
func Checks(arms map[string]Evidence, m predict.Model) []report.Check {
	any, way := newTally(arms[inTurn]), newTally(arms[wayOut])
	return []report.Check{
		any.flowOneQueue(), any.flowOneCore(), any.queueAsPredicted(m),
		any.manyQueues(), any.manyCores(), newTally(arms[ofMemcached]).manyThreads(),
		way.keyOneCore(), way.servedWhereReceived(newTally(arms[perCore])), any.nothingLost(),
	}
}

// flowOneQueue counts connections that came on more than one receive queue.
func (t tally) flowOneQueue() report.Check {
	split, packets := 0, uint64(0)
	for _, c := range t.connections {
		if c.seen != nil {
			split += experiment.One(len(c.seen.Queues) > 1)
			packets += c.seen.Packets
		}
	}
	return report.Check{
		Name: FlowOneQueue, Measured: split, Expected: 0, Pass: split == 0 && len(t.gaps) == 0,
		Detail: fmt.Sprintf("%s of %s connections, with %s packets to the VIP, came on more than one receive queue.%s",
			report.Cell(split), report.Cell(len(t.connections)), report.Cell(packets), t.but()),
	}
}

// flowOneCore counts connections whose packets were worked on by more than one core, of the balancer or of the store.
func (t tally) flowOneCore() report.Check {
	split, requests := 0, 0
	for _, c := range t.connections {
		core, ok := received(c)
		for _, s := range c.served {
			ok = ok && s.Softirq == core
		}
		split += experiment.One(!ok)
		requests += len(c.served)
	}
	return report.Check{
		Name: FlowOneCore, Measured: split, Expected: 0, Pass: split == 0 && requests > 0 && len(t.gaps) == 0,
		Detail: fmt.Sprintf("Of %s connections the packets of %s were worked on by more than one core: the observer on the NIC was asked, and at each of %s requests the socket at the store.%s",
			report.Cell(len(t.connections)), report.Cell(split), report.Cell(requests), t.but()),
	}
}

// queueAsPredicted counts packets off the queue that the model of the NIC names.
func (t tally) queueAsPredicted(m predict.Model) report.Check {
	var off, packets uint64
	for _, c := range t.connections {
		if c.seen != nil {
			packets += c.seen.Packets
			off += c.seen.Packets - c.seen.Queues[m.Queue(c.flow)]
		}
	}
	return report.Check{
		Name: QueueAsPredicted, Measured: off, Expected: 0, Pass: off == 0 && packets > 0 && len(t.gaps) == 0,
		Detail: fmt.Sprintf("%s of %s packets to the VIP came on another queue than the Toeplitz model predicts.%s",
			report.Cell(off), report.Cell(packets), t.but()),
	}
}

// manyQueues, manyCores and manyThreads hold the places of the keys against chance.
func (t tally) manyQueues() report.Check {
	c := t.byChance(KeyManyQueues, "receive queue", queue)
	c.Detail += t.formula(queue)
	return c
}

func (t tally) manyCores() report.Check {
	c := t.byChance(KeyManyCores, "core of a store, where a thread served it", served)
	c.Detail += t.formula(served)
	return c
}

func (t tally) manyThreads() report.Check {
	return t.byChance(MemcachedManyThreads, "thread of the first memcached", threadOfFirst)
}

// formula says what chance makes of places with equal shares.
func (t tally) formula(at place) string {
	n := t.spread(at).places
	return fmt.Sprintf(" For N = %d places with equal shares and r = %d connections N(1-(1-1/N)^r) is %.2f.", n, t.Plan.Times, byChance(n, float64(t.Plan.Times)))
}

// byChance compares the number of places of all keys together with its exact distribution, given how many connections are at
// each place.
func (t tally) byChance(name, what string, at place) report.Check {
	s := t.spread(at)
	p := s.chance.tail(s.pairs)
	return report.Check{
		Name: name, Measured: round(s.mean()), Expected: round(s.chance.mean() / float64(max(len(s.per), 1))),
		Pass: s.several > 0 && p >= least && len(t.gaps) == 0,
		Detail: fmt.Sprintf("%s of %s keys had more than one %s. A key had %.2f on average, of %d; chance makes %.2f of these connections, p = %.3g (below %g fails).%s",
			report.Cell(s.several), report.Cell(len(s.per)), what, s.mean(), s.places, s.chance.mean()/float64(max(len(s.per), 1)), p, least, t.but()),
		Estimate: &report.Estimate{
			Test: "the exact distribution of the number of places", FalseAlarm: least, Samples: len(s.per),
			Size: fmt.Sprintf("%d places, %s connections, a key over %d", s.places, report.Cell(len(t.connections)), t.Plan.Times),
		},
	}
}

// keyOneCore counts keys that one core alone received and served.
func (t tally) keyOneCore() report.Check {
	by, in := t.spread(served), t.spread(received)
	one := min(by.one(), in.one())
	return report.Check{
		Name: KeyOneCore, Measured: one, Expected: t.Plan.Keys, Pass: one == t.Plan.Keys && t.Plan.Keys > 0 && by.nowhere+in.nowhere+len(t.gaps) == 0,
		Detail: fmt.Sprintf("Each of %s keys was requested over %d connections. The threads that served it ran on one core of one store for %s keys, and its packets came on one core for %s; %s connections changed their core.%s",
			report.Cell(t.Plan.Keys), t.Plan.Times, report.Cell(by.one()), report.Cell(in.one()), report.Cell(by.nowhere+in.nowhere), t.but()),
	}
}

// servedWhereReceived counts requests, of several arms, that a thread served on another core than their packets came on.
func (t tally) servedWhereReceived(others ...tally) report.Check {
	off, all, gaps := 0, 0, 0
	for _, u := range append(others, t) {
		a, n := u.elsewhere()
		off, all, gaps = off+a, all+n, gaps+len(u.gaps)
	}
	return report.Check{
		Name: ServedWhereReceived, Measured: off, Expected: 0, Pass: off == 0 && all > 0 && gaps == 0,
		Detail: fmt.Sprintf("%s of %s requests were served on another core than the one on which the network stack had worked on their packets.%s",
			report.Cell(off), report.Cell(all), t.but()),
	}
}

// elsewhere counts requests that were served on another core than their packets came on.
func (t tally) elsewhere() (off, all int) {
	for _, c := range t.connections {
		for _, s := range c.served {
			off += experiment.One(s.Core != s.Softirq)
			all++
		}
	}
	return off, all
}

// nothingLost demands that every request was answered with the right value, and that every packet is accounted for.
func (t tally) nothingLost() report.Check {
	wanted, right, first := t.Plan.Connections+t.Plan.Keys*(t.Plan.Times+1), 0, ""
	for _, r := range t.Requests {
		switch {
		case r.Err == "":
			right++
		case first == "":
			first = fmt.Sprintf(" The first that was not: %s.", r.Err)
		}
	}
	var observed, arrived uint64
	for _, f := range t.Observed {
		if f.Flow.Destination == t.VIP && f.Flow.Protocol == packet.TCP {
			observed += f.Packets
		}
	}
	for _, c := range t.connections {
		arrived += c.packets
	}
	forwarded := t.Reasons[lb.Forwarded]
	return report.Check{
		Name: NothingLost, Measured: right, Expected: wanted,
		Pass: right == wanted && len(t.Requests) == wanted && observed > 0 && observed == forwarded && forwarded == arrived+t.LinkDropped && t.Dropped == 0 && len(t.gaps) == 0,
		Detail: fmt.Sprintf("%s of %s requests were answered with the right value.%s %s packets to the VIP were observed, %s forwarded, and %s arrived at the stores; %s found a ring of the NIC or a link's queue full.%s",
			report.Cell(right), report.Cell(wanted), first, report.Cell(observed), report.Cell(forwarded), report.Cell(arrived), report.Cell(t.Dropped+t.LinkDropped), t.but()),
	}
}

// round leaves three decimals.
func round(v float64) float64 { return math.Round(1000*v) / 1000 }
