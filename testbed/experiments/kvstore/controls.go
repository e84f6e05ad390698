package kvstore

import (
	"fmt"

	"lbctl/rss"
	"lbctl/testbed/experiment"
	"lbctl/testbed/predict"
	"lbctl/testbed/report"
)

// Names of the controls.
const (
	TableRewritten = "table-rewritten"
	Spray          = "spray"
	PortsByKey     = "ports-by-key"
	ThreadsInTurn  = "threads-in-turn"
	AnotherKey     = "another-key"
	OneThread      = "one-thread"
	WrongBytes     = "wrong-bytes"
)

// Controls are arms in which something was broken on purpose, or cured.
func Controls(arms map[string]Evidence, m predict.Model) []report.Check {
	way, turn, guess := newTally(arms[wayOut]), newTally(arms[byKeyInTurn]), newTally(arms[byAnotherKey])
	return []report.Check{
		newTally(arms[rewrittenTable]).tableRewritten(m), newTally(arms[sprayed]).spray(m), way.portsByKey(),
		turn.threadsInTurn(), guess.anotherKey(), newTally(arms[ofOneThread]).oneThread(), newTally(arms[wrongByte]).wrongBytes(),
	}
}

// tableRewritten: the indirection table was rewritten while all connections were open. Exactly the flows of
// which the model says so must have come on two queues, and on those two.
func (t tally) tableRewritten(m predict.Model) report.Check {
	aim := t.flowOneQueue()
	after := m
	after.NIC = m.NIC.WithTable(predict.Rewritten(m.NIC.Config().Table))
	moved, predicted, wrong := 0, 0, 0
	for _, c := range t.connections {
		want := map[rss.Queue]bool{m.Queue(c.flow): true, after.Queue(c.flow): true}
		predicted += experiment.One(len(want) == 2)
		if c.seen == nil {
			wrong++
			continue
		}
		moved += experiment.One(len(c.seen.Queues) > 1)
		same := len(want) == len(c.seen.Queues)
		for q := range c.seen.Queues {
			same = same && want[q]
		}
		wrong += experiment.One(!same)
	}
	followed, stayed := t.afterMove()
	return experiment.Flips(report.Check{
		Name: TableRewritten, Measured: moved, Expected: predicted,
		Pass: wrong == 0 && moved == predicted && moved > 0 && moved < len(t.connections) && len(t.gaps) == 0,
		Detail: fmt.Sprintf("The table was rewritten while %s connections were open: %s changed their queue, the model predicted %s, and %s were not as predicted. The network stack went on with %s on another core; the thread changed for %s of these.%s",
			report.Cell(len(t.connections)), report.Cell(moved), report.Cell(predicted), report.Cell(wrong), report.Cell(followed), report.Cell(followed-stayed), t.but()),
	}, aim)
}

// afterMove counts the connections whose packets changed their core, as their sockets said at the requests, and those of them
// whose thread stayed on its core.
func (t tally) afterMove() (moved, stayed int) {
	for _, c := range t.connections {
		softirq, threads := map[int]bool{}, map[int]bool{}
		for _, s := range c.served {
			softirq[s.Softirq], threads[s.Core] = true, true
		}
		moved += experiment.One(len(softirq) > 1)
		stayed += experiment.One(len(softirq) > 1 && len(threads) == 1)
	}
	return moved, stayed
}

// spray: a NIC that gives each packet to the next queue. Other connections come in between, so that all packets of a short one
// may by chance come on one queue.
func (t tally) spray(m predict.Model) report.Check {
	split := 0
	for _, c := range t.connections {
		split += experiment.One(c.seen != nil && len(c.seen.Queues) > 1)
	}
	return experiment.Flips(report.Check{
		Name: Spray, Measured: split, Expected: fmt.Sprintf("> %d", len(t.connections)/2), Pass: 2*split > len(t.connections) && len(t.gaps) == 0,
		Detail: fmt.Sprintf("With a NIC that gives each packet to the next queue, %s of %s connections came on more than one queue.%s",
			report.Cell(split), report.Cell(len(t.connections)), t.but()),
	}, t.flowOneQueue(), t.flowOneCore(), t.queueAsPredicted(m))
}

// portsByKey: with source ports chosen by the key, no key has many queues or cores.
func (t tally) portsByKey() report.Check {
	s := t.spread(queue)
	return experiment.Flips(report.Check{
		Name: PortsByKey, Measured: s.one(), Expected: t.Plan.Keys, Pass: s.one() == t.Plan.Keys && t.Plan.Keys > 0 && len(t.gaps) == 0,
		Detail: fmt.Sprintf("With source ports that the clients chose by the key, %s of %s keys came on one queue.%s",
			report.Cell(s.one()), report.Cell(t.Plan.Keys), t.but()),
	}, t.manyQueues(), t.manyCores())
}

// threadsInTurn: the ports bring a key to one queue and one store, but its connections to any thread.
func (t tally) threadsInTurn() report.Check {
	in, at, by := t.spread(received), t.spread(store), t.spread(served)
	off, all := t.elsewhere()
	return experiment.Flips(report.Check{
		Name: ThreadsInTurn, Measured: by.several, Expected: "> 0", Pass: by.several > 0 && in.one() == t.Plan.Keys && at.one() == t.Plan.Keys && len(t.gaps) == 0,
		Detail: fmt.Sprintf("With ports by the key and threads in turn, the packets of %s of %s keys came on one core and to one store, but threads on more than one core served %s keys, and %s of %s requests on another core than their packets came on.%s",
			report.Cell(in.one()), report.Cell(t.Plan.Keys), report.Cell(by.several), report.Cell(off), report.Cell(all), t.but()),
	}, t.keyOneCore(), t.servedWhereReceived())
}

// anotherKey: ports that were computed with another RSS key are ports by chance.
func (t tally) anotherKey() report.Check {
	in := t.spread(queue)
	return experiment.Flips(report.Check{
		Name: AnotherKey, Measured: in.several, Expected: "> 0", Pass: in.several > 0 && len(t.gaps) == 0,
		Detail: fmt.Sprintf("With ports that were computed with another RSS key than the NIC's, %s of %s keys came on more than one queue.%s",
			report.Cell(in.several), report.Cell(t.Plan.Keys), t.but()),
	}, t.keyOneCore())
}

// oneThread: a memcached with one thread serves every key with that one.
func (t tally) oneThread() report.Check {
	s := t.spread(threadOfFirst)
	return experiment.Flips(report.Check{
		Name: OneThread, Measured: s.places, Expected: 1, Pass: s.places == 1 && len(t.gaps) == 0,
		Detail: fmt.Sprintf("A memcached with one thread serves all connections with %d.%s", s.places, t.but()),
	}, t.manyThreads())
}

// wrongBytes: the stores served key 0 with one byte changed. Every client that got it must have noticed.
func (t tally) wrongBytes() report.Check {
	caught, others := 0, 0
	for _, r := range t.Requests {
		if r.Err != "" && r.Key == 0 && !r.Put {
			caught++
		} else if r.Err != "" {
			others++ // what was still to be asked on the same connection
		}
	}
	return experiment.Flips(report.Check{
		Name: WrongBytes, Measured: caught, Expected: t.Plan.Times, Pass: caught == t.Plan.Times && caught > 0,
		Detail: fmt.Sprintf("The stores served one key with a byte changed: the clients noticed it %s times, and gave up %s requests behind it.",
			report.Cell(caught), report.Cell(others)),
	}, t.nothingLost())
}
