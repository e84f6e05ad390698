package kvstore

import (
	"maps"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"lbctl/lb"
	"lbctl/rss"
	"lbctl/rss/observe"
	"lbctl/rss/packet"
	"lbctl/testbed/capture"
	"lbctl/testbed/cluster"
	"lbctl/testbed/experiment"
	"lbctl/testbed/experiment/trialtest"
	"lbctl/testbed/kv"
	"lbctl/testbed/predict"
	"lbctl/testbed/report"
)

// quick returns the design at quick size, and its model.
func quick(t *testing.T) (*design, predict.Model) {
	t.Helper()
	d := &design{}
	if err := experiment.NewParameters(d).Resize(experiment.Quick); err != nil {
		t.Fatal(err)
	}
	m, err := d.parameters.model(7)
	if err != nil {
		t.Fatal(err)
	}
	return d, m
}

// fabricate makes the evidence of an arm in which everything went as it should. Two cores; a store has two threads.
func (d *design) fabricate(t *testing.T, m predict.Model, a arm) Evidence {
	t.Helper()
	e := Evidence{VIP: m.Service.VIP.Address, Stores: m.Addresses(), Plan: d.plan(d.random.Uint64(), 1), Memcached: a.memcached > 0}
	sources := cluster.Deal(d.dealer, d.connections, d.clients)
	if a.ports != nil {
		var err error
		e.Plan.Classes = d.classes()
		if sources, err = d.ports.byClass(d.connections, d.clients, d.queues, *a.ports); err != nil {
			t.Fatal(err)
		}
	}
	e.Served, e.Captures = make([][]kv.Served, d.stores), make([]cluster.Capture, d.stores)
	for range d.stores {
		e.Threads = append(e.Threads, map[netip.AddrPort]int{})
	}
	for i, steps := range e.Plan.Steps() {
		source := sources[i]
		flow := packet.Flow{Source: source, Destination: e.VIP, Protocol: packet.TCP}
		q, at := m.Queue(flow), m.Replica(flow)
		behind := packet.Flow{Source: source, Destination: e.Stores[at], Protocol: packet.TCP}
		core, thread := int(q)%2, d.random.IntN(2)
		if a.perCore {
			thread = core
		}
		if e.Memcached {
			e.Threads[at][source] = d.random.IntN(a.memcached)
		}
		for _, s := range append([]kv.Step{{Key: kv.Hello}}, steps...) {
			e.Requests = append(e.Requests, kv.Request{Connection: i, Flow: flow, Key: s.Key, Put: s.Put})
			if !e.Memcached {
				e.Served[at] = append(e.Served[at], kv.Served{Flow: behind, Key: s.Key, Put: s.Put, Thread: thread, Core: thread, Softirq: core})
			}
		}
		e.Observed = append(e.Observed, observe.Flow{Flow: flow, Packets: 9, Queues: map[rss.Queue]uint64{q: 9}, CPUs: []int{core}})
		e.Captures[at].Flows = append(e.Captures[at].Flows, capture.Flow{Flow: behind, Packets: 9}, capture.Flow{Flow: behind.Reverse(), Packets: 7})
	}
	e.Reasons = map[lb.Reason]uint64{lb.Forwarded: uint64(9 * d.connections)}
	return e
}

// arms fabricates all arms.
func (d *design) arms(t *testing.T, m predict.Model) map[string]Evidence {
	t.Helper()
	d.choose(rand.New(rand.NewPCG(1, 2)))
	config := m.NIC.Config()
	guess := &design{parameters: d.parameters}
	guess.key = predict.OtherKey(config.Key, func() uint64 { return 3 })
	wrong, err := guess.parameters.model(7)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]Evidence{}
	for _, a := range []arm{
		{name: inTurn}, {name: ofMemcached, memcached: 4}, {name: perCore, perCore: true}, {name: wayOut, perCore: true, ports: &m},
		{name: byKeyInTurn, ports: &m}, {name: byAnotherKey, perCore: true, ports: &wrong}, {name: rewrittenTable}, {name: sprayed},
		{name: ofOneThread, memcached: 1}, {name: wrongByte},
	} {
		all[a.name] = d.fabricate(t, m, a)
	}
	after := m
	after.NIC = m.NIC.WithTable(predict.Rewritten(config.Table))
	for i := range all[rewrittenTable].Observed {
		f := &all[rewrittenTable].Observed[i]
		f.Queues = map[rss.Queue]uint64{m.Queue(f.Flow): 4}
		f.Queues[after.Queue(f.Flow)] += 5
	}
	for i := range all[sprayed].Observed {
		f := &all[sprayed].Observed[i]
		f.Queues, f.CPUs = map[rss.Queue]uint64{0: 3, 1: 2, 2: 2, 3: 2}, []int{0, 1}
	}
	for i := range all[wrongByte].Requests {
		if r := &all[wrongByte].Requests[i]; r.Key == 0 && !r.Put {
			r.Err = "answer: a byte changed"
		}
	}
	return all
}

// failing returns the names of those that fail.
func failing(checks []report.Check) (names []string) {
	for _, c := range checks {
		if !c.Pass {
			names = append(names, c.Name)
		}
	}
	return names
}

func TestGoodEvidencePasses(t *testing.T) {
	d, m := quick(t)
	arms := d.arms(t, m)
	for _, c := range slices.Concat(Checks(arms, m), Controls(arms, m)) {
		if !c.Pass {
			t.Errorf("%s: measured %v, expected %v: %s", c.Name, c.Measured, c.Expected, c.Detail)
		}
	}
}

// TestOneFault spoils the evidence of one arm by one fault: exactly the checks named must fail.
func TestOneFault(t *testing.T) {
	d, m := quick(t)
	for name, tt := range map[string]struct {
		arm   string
		spoil func(*Evidence)
		fail  []string
	}{
		"a packet on another queue, same core": {inTurn, func(e *Evidence) {
			f := &e.Observed[3]
			q := m.Queue(f.Flow)
			f.Queues = map[rss.Queue]uint64{q: 8, (q + 2) % 4: 1}
		}, []string{FlowOneQueue, QueueAsPredicted}},
		"a flow on another core":                 {inTurn, func(e *Evidence) { e.Observed[3].CPUs = []int{0, 1} }, []string{FlowOneCore}},
		"the stack of the store on another core": {inTurn, func(e *Evidence) { e.Served[0][2].Softirq ^= 1 }, []string{FlowOneCore}},
		"a flow that the observer missed": {inTurn, func(e *Evidence) { e.Observed = e.Observed[1:] },
			[]string{FlowOneQueue, FlowOneCore, QueueAsPredicted, KeyManyQueues, KeyManyCores, NothingLost}},
		"all on one queue": {inTurn, func(e *Evidence) {
			for i := range e.Observed {
				e.Observed[i].Queues = map[rss.Queue]uint64{1: 9}
			}
		}, []string{QueueAsPredicted, KeyManyQueues}},
		"all threads on one core": {inTurn, func(e *Evidence) {
			for _, log := range e.Served {
				for i := range log {
					log[i].Core = 0
				}
			}
			e.Served[0], e.Served[1] = append(e.Served[0], e.Served[1]...), nil
			e.Captures[0].Flows, e.Captures[1].Flows = nil, nil
		}, []string{KeyManyCores, NothingLost}},
		"memcached with one thread": {ofMemcached, func(e *Evidence) {
			for client := range e.Threads[0] {
				e.Threads[0][client] = 0
			}
		}, []string{MemcachedManyThreads}},
		"one request on another core":   {wayOut, func(e *Evidence) { e.Served[1][5].Core ^= 1 }, []string{KeyOneCore, ServedWhereReceived}},
		"one request of the other arm":  {perCore, func(e *Evidence) { e.Served[1][5].Core ^= 1 }, []string{ServedWhereReceived}},
		"a request without answer":      {inTurn, func(e *Evidence) { e.Requests[0].Err = "timeout" }, []string{NothingLost}},
		"a request that was not made":   {inTurn, func(e *Evidence) { e.Requests = e.Requests[:len(e.Requests)-1] }, []string{NothingLost}},
		"a packet that was not counted": {inTurn, func(e *Evidence) { e.Reasons[lb.Forwarded]-- }, []string{NothingLost}},
		"nothing at all": {inTurn, func(e *Evidence) { *e = Evidence{Plan: e.Plan} },
			[]string{FlowOneQueue, FlowOneCore, QueueAsPredicted, KeyManyQueues, KeyManyCores, NothingLost}},
	} {
		arms := d.arms(t, m)
		e := arms[tt.arm]
		tt.spoil(&e)
		arms[tt.arm] = e
		if got := failing(Checks(arms, m)); !slices.Equal(got, tt.fail) {
			t.Errorf("%s: %v fail, want %v", name, got, tt.fail)
		}
	}
}

// TestControlsCanFail: a control fails where what it broke had no effect: where the evidence is that of a good arm.
func TestControlsCanFail(t *testing.T) {
	d, m := quick(t)
	arms := d.arms(t, m)
	good := map[string]Evidence{
		rewrittenTable: arms[inTurn], sprayed: arms[inTurn], wrongByte: arms[inTurn], ofOneThread: arms[ofMemcached],
		wayOut: arms[inTurn], byKeyInTurn: arms[wayOut], byAnotherKey: arms[wayOut],
	}
	if got := failing(Controls(good, m)); len(got) != 7 {
		t.Errorf("only %v fail", got)
	}
	maps.DeleteFunc(arms, func(string, Evidence) bool { return true })
	if got := failing(Controls(arms, m)); len(got) != 7 {
		t.Errorf("without evidence only %v fail", got)
	}
}

// TestDistinct holds the exact distribution against counting, and against the formula of equal places.
func TestDistinct(t *testing.T) {
	// Of 2 of the connections a a b c, of places a, b and c: 1 pair of 6 is at one place.
	for n, want := range []float64{0, 1. / 6, 5. / 6, 0} {
		if got := distinct([]int{2, 1, 1}, 2)[n]; math.Abs(got-want) > 1e-12 {
			t.Errorf("probability of %d places %v, want %v", n, got, want)
		}
	}
	many := []int{100_000, 100_000, 100_000, 100_000}
	if got, want := distinct(many, 6).mean(), byChance(4, 6); math.Abs(got-want) > 1e-4 {
		t.Errorf("mean %v, want about %v", got, want)
	}
	sum := 0.0
	for _, p := range distinct([]int{80, 3, 70, 167}, 12).plus(distinct([]int{5}, 3)) {
		sum += p
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("probabilities add up to %v", sum)
	}
	if d := (distribution{0.25, 0.5, 0.25}); d.tail(0) != 0.5 || d.tail(1) != 1 || d.tail(2) != 0.5 {
		t.Errorf("tails %v %v %v", d.tail(0), d.tail(1), d.tail(2))
	}
}

// TestPortsAreGivenOnce: ports found by class lead where they should, and none is given twice.
func TestPortsAreGivenOnce(t *testing.T) {
	d, m := quick(t)
	d.choose(rand.New(rand.NewPCG(1, 2)))
	seen := map[netip.AddrPort]bool{}
	for range 4 {
		sources, err := d.ports.byClass(d.connections, d.clients, d.queues, m)
		if err != nil {
			t.Fatal(err)
		}
		for i, source := range sources {
			f := packet.Flow{Source: source, Destination: m.Service.VIP.Address, Protocol: packet.TCP}
			if class := int(m.Queue(f)) + d.queues*m.Replica(f); class != i%d.classes() || seen[source] || source.Port() < firstPort || source.Port() > lastPort {
				t.Fatalf("connection %d from %v: class %d, given before: %v", i, source, class, seen[source])
			}
			seen[source] = true
		}
	}
	for _, source := range cluster.Deal(d.dealer, 2*d.connections, d.clients) {
		if seen[source] || source.Port() <= lastPort {
			t.Fatalf("port of %v: given before: %v", source, seen[source])
		}
		seen[source] = true
	}
	if _, err := (ports{}).byClass(2*maxConnections, 1, 4, m); err == nil {
		t.Error("one client has ports for everything")
	}
}

// TestReport draws everything, from good evidence and from none.
func TestReport(t *testing.T) {
	d, m := quick(t)
	arms := d.arms(t, m)
	figures, err := Figures(arms, m)
	if err != nil {
		t.Fatal(err)
	}
	checks := Checks(arms, m)
	if err := report.Write(t.TempDir(), report.Result{Experiment: "kvstore", Checks: checks, Tables: Tables(arms, checks, m, nil)}, figures); err != nil {
		t.Fatal(err)
	}
	if row := ladder(arms).Rows[4]; !slices.Equal(row[:6], []any{wayOut, 64, 64, 64, 64, 64}) {
		t.Errorf("the way out: %v", row)
	}
	if row := ladder(arms).Rows[0]; row[0] != inTurn || row[2].(int) > 8 || row[5].(int) > 8 {
		t.Errorf("the arm without: %v", row)
	}
}

func TestParametersAreChecked(t *testing.T) {
	trialtest.Parameters(t, Experiment(), map[string]bool{
		"stores=1": true, "stores=17": false, "queues=1": false, "threads=1": false, "keys=7": false, "times=1": false,
		"connections=15": false, "connections=63": false, "connections=4097": false, "clients=0": false, "key=symmetric": true, "key=00": false,
		"install=false": true, "queues=64": false,
	})
}

// TestKeyValueStoreInSmall runs all arms with real packets: everything passes.
func TestKeyValueStoreInSmall(t *testing.T) {
	trialtest.Quick(t, Experiment())
}
