package spread

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"lbctl/lb"
	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/observe"
	"lbctl/rss/packet"
	"lbctl/testbed/capture"
	"lbctl/testbed/cluster"
	"lbctl/testbed/experiment"
	"lbctl/testbed/experiment/trialtest"
	"lbctl/testbed/predict"
	"lbctl/testbed/replica"
	"lbctl/testbed/report"
	"lbctl/testbed/traffic"
)

func TestParametersAreChecked(t *testing.T) {
	trialtest.Parameters(t, Experiment(), map[string]bool{
		"replicas=2": true, "replicas=1": false, "replicas=101": false, "replicas=-4": false,
		"queues=1": false, "queues=129": false, "table=3": false, "connections=39": false,
		"requests=16001": false, "requests=4000": true, "requests=0": false, "objects=0": false,
		"min-size=2000000": false, "max-size=100": false, "popularity=-1": false, "popularity=1.2": true,
		"key=symmetric": true, "key=00": false, "scheduler=maglev": true, "scheduler=random": false,
		"hash=toeplitz": true, "hash=md5": false, "control-connections=3": false,
	})
}

// TestSetReachesTheModel: what one sets is what is modelled.
func TestSetReachesTheModel(t *testing.T) {
	d := &design{}
	p := experiment.NewParameters(d)
	for _, assignment := range []string{"replicas=5", "queues=3", "table=64", "key=symmetric", "scheduler=maglev", "hash=toeplitz"} {
		if err := p.Set(assignment); err != nil {
			t.Fatal(err)
		}
	}
	m, err := d.parameters.model(1)
	if err != nil {
		t.Fatal(err)
	}
	config := m.NIC.Config()
	if len(m.Service.Replicas) != 5 || config.Table.Queues() != 3 || len(config.Table) != 64 || config.Key[1] != 0x5a || config.Key[2] != 0x6d {
		t.Errorf("model of %d replicas, %d queues, table of %d, key %v", len(m.Service.Replicas), config.Table.Queues(), len(config.Table), config.Key)
	}
	if m.Service.Scheduler.String() != "maglev" || m.Service.Hash.String() != "toeplitz" {
		t.Errorf("service is %v with %v", m.Service.Scheduler, m.Service.Hash)
	}
}

const (
	testReplicas    = 4
	testQueues      = 4
	testObjects     = 16
	testConnections = 800
	testRequests    = 4
)

// testModel is a NIC of 4 queues before a service of 4 replicas.
func testModel(t *testing.T) predict.Model {
	t.Helper()
	config, err := nic.Default(testQueues)
	if err != nil {
		t.Fatal(err)
	}
	n, err := nic.New(config)
	if err != nil {
		t.Fatal(err)
	}
	s := lb.Service{
		VIP: lb.VIP{Address: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP}, Hash: lb.JHash, Seed: 7,
	}
	for i := range testReplicas {
		address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 2}), 8080)
		s.Replicas = append(s.Replicas, lb.Replica{Address: address, Weight: 1})
	}
	s = s.WithDefaults()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	return predict.New(n, s, rss.MicrosoftKey())
}

// fabricate makes the evidence of a run in which everything went as the model says.
// The queue and the replica of the model are asked for by flow; route may send elsewhere.
func fabricate(m predict.Model, connections, requests int, object func(*rand.Rand, int) int) Evidence {
	random := rand.New(rand.NewPCG(1, 2))
	e := Evidence{VIP: m.Service.VIP.Address, Objects: testObjects, Wanted: connections * requests}
	e.Access, e.Captures = make([][]replica.Access, testReplicas), make([]cluster.Capture, testReplicas)
	e.Reasons = map[lb.Reason]uint64{lb.Forwarded: 0, lb.Returned: 0, lb.NotIP: 3}
	for _, r := range m.Service.Replicas {
		e.Replicas = append(e.Replicas, r.Address)
	}
	for i := range connections {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), uint16(32768+random.IntN(28000)))
		flow := packet.Flow{Source: client, Destination: e.VIP, Protocol: packet.TCP}
		to := m.Replica(flow)
		behind := packet.Flow{Source: client, Destination: e.Replicas[to], Protocol: packet.TCP}
		there, back := uint64(5+random.IntN(40)), uint64(5+random.IntN(90))
		for n := range requests {
			o := object(random, n)
			e.Requests = append(e.Requests, traffic.Request{Connection: i, Flow: flow, Object: o, Status: 200, Bytes: 100, Replica: to})
			e.Access[to] = append(e.Access[to], replica.Access{Flow: behind, Object: o, Status: 200, Bytes: 100})
		}
		queue := m.Queue(flow)
		e.Observed = append(e.Observed, observe.Flow{
			Flow: flow, Packets: there, Queues: map[rss.Queue]uint64{queue: there}, CPUs: []int{int(queue) % 2},
		})
		e.Captures[to].Flows = append(e.Captures[to].Flows,
			capture.Flow{Flow: behind, Packets: there}, capture.Flow{Flow: behind.Reverse(), Packets: back})
		e.Reasons[lb.Forwarded] += there
		e.Reasons[lb.Returned] += back
	}
	for _, n := range e.Reasons {
		e.Seen += n
	}
	return e
}

// good is the evidence of a run like the demo's, only smaller.
func good(m predict.Model) Evidence {
	return fabricate(m, testConnections, testRequests, func(r *rand.Rand, _ int) int { return r.IntN(testObjects) })
}

// TestFiguresAndTables draws everything that the report shows, from good evidence and from none.
func TestFiguresAndTables(t *testing.T) {
	m := testModel(t)
	e := good(m)
	single := fabricate(m, 1, testObjects, func(_ *rand.Rand, n int) int { return n })
	figures, err := Figures(e, single, m)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, f := range figures {
		if names[f.Name] || f.Title == "" || f.Caption == "" {
			t.Errorf("figure %q: twice, or without title or caption", f.Name)
		}
		names[f.Name] = true
	}
	checks := Checks(e, m)
	r := report.Result{Experiment: "spread", Checks: checks, Tables: Tables(e, checks, m)}
	if err := report.Write(t.TempDir(), r, figures); err != nil {
		t.Fatal(err)
	}
}

// TestHopsShowsWhatWasSeen: the connection that is followed has its measured queue and replica.
func TestHopsShowsWhatWasSeen(t *testing.T) {
	m := testModel(t)
	tally := newTally(good(m))
	c := tally.followed()
	figure, err := tally.hops(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		c.flow.Source.String(), tally.Replicas[c.replicas()[0]].Addr().String(), report.Cell(c.seen.Packets) + " packets",
	} {
		if !strings.Contains(string(figure.SVG), want) {
			t.Errorf("the way of %v lacks %q", c.flow, want)
		}
	}
	if _, err := newTally(Evidence{}).hops(m); err != nil {
		t.Errorf("without evidence: %v", err)
	}
}

// TestGrowthFollowsChance: means over 16 objects lie near N(1-(1-1/N)^r).
func TestGrowthFollowsChance(t *testing.T) {
	m := testModel(t)
	means := newTally(good(m)).firstReplicas(12)
	if len(means) != 12 || means[0] != 1 {
		t.Fatalf("means = %v, want 12 of them, the first 1", means)
	}
	for i, mean := range means {
		want := 4 * (1 - math.Pow(.75, float64(i+1)))
		if math.Abs(mean-want) > 0.7 { // 4 standard deviations of a mean of 16 at most
			t.Errorf("after %d connections %.2f replicas, want about %.2f", i+1, mean, want)
		}
	}
}

// TestRemoval: maglev moves hardly more than the connections of the replica that goes,
// modulo about 3 of 4.
func TestRemoval(t *testing.T) {
	m := testModel(t)
	rows := removal(newTally(good(m)), m).Rows
	modulo, maglev, orphans := rows[0][1].(int), rows[1][1].(int), rows[1][3].(int)
	if modulo < testConnections*65/100 || modulo > testConnections*85/100 {
		t.Errorf("modulo moves %d of %d, want about 3 of 4", modulo, testConnections)
	}
	if maglev < orphans || maglev > orphans*115/100 {
		t.Errorf("maglev moves %d, want hardly more than the %d that must", maglev, orphans)
	}
}

// TestClaimsFollowChecks: an answer is given only when its checks passed.
func TestClaimsFollowChecks(t *testing.T) {
	m := testModel(t)
	e := good(m)
	move(&e, e.Observed[9].Flow.Source, testReplicas)
	rows := claims(Checks(e, m)).Rows
	for i, want := range []bool{true, false, true} {
		if answered := !strings.HasPrefix(rows[i][1].(string), "Not shown"); answered != want {
			t.Errorf("question %d is answered: %v, want %v", i, answered, want)
		}
	}
}
