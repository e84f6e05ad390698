package spread

import (
	"math/rand/v2"
	"testing"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/testbed/capture"
	"lbctl/testbed/experiment"
	"lbctl/testbed/predict"
	"lbctl/testbed/report"
)

// expect fails the test when a control did not come out as want.
func expect(t *testing.T, c report.Check, want bool) {
	t.Helper()
	if c.Pass != want {
		t.Errorf("%s: pass = %v, want %v: measured %v, expected %v: %s", c.Name, c.Pass, want, c.Measured, c.Expected, c.Detail)
	}
}

// withKey returns m with another key in its NIC.
func withKey(t *testing.T, m predict.Model, key rss.Key) predict.Model {
	t.Helper()
	config := m.NIC.Config()
	config.Key = key
	n, err := nic.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return predict.New(n, m.Service, m.Key)
}

func TestAnotherKey(t *testing.T) {
	m := testModel(t)
	key := make(rss.Key, 40)
	for i := range key {
		key[i] = byte(i*7 + 3)
	}
	expect(t, anotherKey(good(m), withKey(t, m, key)), true)
	expect(t, anotherKey(good(m), m), false) // the right key: nothing is off
}

func TestAnotherHash(t *testing.T) {
	m := testModel(t)
	seed := m.Service
	seed.Seed += 1000
	expect(t, anotherHash(good(m), predict.New(m.NIC, seed, m.Key)), true)
	expect(t, anotherHash(good(m), m), false)
}

// rewrite gives each flow's last packet to the queue of the table after.
func rewrite(e Evidence, after predict.Model) Evidence {
	for i := range e.Observed {
		f := &e.Observed[i]
		for q := range f.Queues {
			f.Queues[q]--
			f.Queues[after.Queue(f.Flow)]++
			break
		}
	}
	return e
}

func TestTableRewritten(t *testing.T) {
	before := testModel(t)
	after := before
	after.NIC = before.NIC.WithTable(predict.Rewritten(before.NIC.Config().Table))
	expect(t, tableRewritten(rewrite(good(before), after), before, after), true)
	expect(t, tableRewritten(good(before), before, after), false)  // nobody moved
	expect(t, tableRewritten(good(before), before, before), false) // nothing was to move
	e := rewrite(good(before), after)
	e.Observed[3].Queues[(before.Queue(e.Observed[3].Flow)+2)%testQueues]++
	expect(t, tableRewritten(e, before, after), false) // one flow where neither table sends it
	e = rewrite(good(before), after)
	e.Observed = e.Observed[1:]
	expect(t, tableRewritten(e, before, after), false) // one flow not seen
}

func TestRewrittenMovesHalf(t *testing.T) {
	table, err := rss.EqualTable(128, 4)
	if err != nil {
		t.Fatal(err)
	}
	moved := 0
	for i, q := range predict.Rewritten(table) {
		moved += experiment.One(q != table[i])
	}
	if moved != 64 {
		t.Errorf("%d of 128 entries differ, want 64", moved)
	}
}

func TestOneConnection(t *testing.T) {
	m := testModel(t)
	e := fabricate(m, 1, testObjects, func(_ *rand.Rand, n int) int { return n })
	expect(t, oneConnection(e, m), true)
	expect(t, oneConnection(fabricate(m, 1, testObjects-1, func(_ *rand.Rand, n int) int { return n }), m), false)
	expect(t, oneConnection(good(m), m), false)
}

func TestSpray(t *testing.T) {
	m := testModel(t)
	e := good(m)
	expect(t, spray(e), false)
	for i := range e.Observed {
		f := &e.Observed[i]
		queue := m.Queue(f.Flow)
		f.Queues = map[rss.Queue]uint64{queue: f.Packets - 1, (queue + 1) % testQueues: 1}
	}
	expect(t, spray(e), true)
	move := e.Captures[0].Flows[0]
	move.Flow.Destination = e.Replicas[1]
	e.Captures[1].Flows = append(e.Captures[1].Flows, capture.Flow{Flow: move.Flow, Packets: 1})
	expect(t, spray(e), false) // the load balancer must not depend on the queue
}

func TestWrongBytes(t *testing.T) {
	m := testModel(t)
	e := good(m)
	expect(t, wrongBytes(e, 2, 5), false)
	for i := range e.Requests {
		if e.Requests[i].Replica == 2 && e.Requests[i].Object == 5 {
			e.Requests[i].Err = "sha-256 differs"
		}
	}
	expect(t, wrongBytes(e, 2, 5), true)
	e.Requests[0].Err = "something else"
	expect(t, wrongBytes(e, 2, 5), e.Requests[0].Replica == 2 && e.Requests[0].Object == 5)
}

func TestReplicaRemoved(t *testing.T) {
	before := testModel(t)
	fewer := before.Service.Clone()
	fewer.Replicas = fewer.Replicas[:testReplicas-1]
	fewer.TableSize = 0
	after := predict.New(before.NIC, fewer.WithDefaults(), before.Key)
	e := good(before)
	expect(t, replicaRemoved(e, before, after), false)
	for _, f := range e.Observed {
		to := after.Replica(f.Flow)
		behind := f.Flow
		behind.Destination = e.Replicas[to]
		e.Captures[to].Flows = append(e.Captures[to].Flows, capture.Flow{Flow: behind, Packets: 1})
	}
	expect(t, replicaRemoved(e, before, after), true)
	expect(t, replicaRemoved(good(before), before, before), false) // nothing was removed, nobody moved
	for _, f := range e.Observed {
		if at := before.Replica(f.Flow); at == after.Replica(f.Flow) {
			stray := (at + 1) % testReplicas
			f.Flow.Destination = e.Replicas[stray]
			e.Captures[stray].Flows = append(e.Captures[stray].Flows, capture.Flow{Flow: f.Flow, Packets: 1})
			break
		}
	}
	expect(t, replicaRemoved(e, before, after), false) // one connection that had to stay did not
}
