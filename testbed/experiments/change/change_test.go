package change

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"lbctl/lb"
	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/testbed/capture"
	"lbctl/testbed/cluster"
	"lbctl/testbed/experiment/trialtest"
	"lbctl/testbed/predict"
	"lbctl/testbed/report"
	"lbctl/testbed/traffic/hold"
)

const (
	testReplicas = 4
	testQueues   = 4
	testFlows    = 400
)

// newNIC returns a NIC with a key.
func newNIC(t *testing.T, key rss.Key) *nic.NIC {
	t.Helper()
	config, err := nic.Default(testQueues)
	if err != nil {
		t.Fatal(err)
	}
	config.Key = key
	n, err := nic.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// flows returns flows of random clients to an address.
func flows(random *rand.Rand, to netip.AddrPort) (all []packet.Flow) {
	for i := range testFlows {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 66, 0, byte(1 + i%200)}), uint16(32768+10*i+random.IntN(10)))
		all = append(all, packet.Flow{Source: client, Destination: to, Protocol: packet.TCP})
	}
	return all
}

// good fabricates the evidence of a run in which everything went as it should.
func good(t *testing.T) Evidence {
	t.Helper()
	random := rand.New(rand.NewPCG(5, 6))
	var e Evidence
	captures, answer := make([]cluster.Capture, testReplicas+1), hold.Report{}
	for _, s := range changed(testReplicas, random.Uint32) {
		w := Way{Kept: s.kept, How: s.how, Before: s.before, After: s.after, Wanted: testFlows}
		was, is := predict.New(nil, s.before, nil), predict.New(nil, s.after, nil)
		for _, f := range flows(random, s.before.VIP.Address) {
			from, to := was.Replica(f), is.Replica(f)
			if s.kept && !(s.how == remove && from == testReplicas-1) {
				to = from
			}
			w.Connections = append(w.Connections, Connection{Flow: f, At: from})
			behind := packet.Flow{Source: f.Source, Destination: slices.Concat(s.before.Replicas, s.after.Replicas[min(len(s.after.Replicas), testReplicas):])[to].Address, Protocol: packet.TCP}
			captures[to].Flows = append(captures[to].Flows, capture.Flow{Flow: behind, Packets: 2})
			answer.Asked = append(answer.Asked, hold.Asked{Flow: f})
			if from != to {
				answer.Lost = append(answer.Lost, hold.Lost{Flow: f, Fate: hold.Reset})
			}
		}
		e.Ways = append(e.Ways, w)
	}
	e.enter(captures, answer)
	key := rss.MicrosoftKey()
	for i, arm := range []struct {
		name string
		s    *service
	}{{SameKey, hashing(10, testReplicas, lb.Modulo)}, {SameKeyMaglev, hashing(11, testReplicas, lb.Maglev)}, {OtherKeys, hashing(10, testReplicas, lb.Modulo)}} {
		h := Hashed{Name: arm.name, Service: arm.s.before, Key: key, Flows: make([][]packet.Flow, testReplicas)}
		m := predict.New(nil, arm.s.before, key)
		for range testReplicas {
			own := key
			if i == 2 {
				own = predict.OtherKey(key, random.Uint64)
			}
			h.NICs, h.Frames = append(h.NICs, newNIC(t, own)), append(h.Frames, make([]uint64, testQueues))
		}
		for _, f := range flows(random, arm.s.before.VIP.Address) {
			to := m.Replica(f)
			f.Destination = arm.s.before.Replicas[to].Address
			h.Flows[to] = append(h.Flows[to], f)
			h.Frames[to][h.NICs[to].ClassifyFlow(f).Queue] += 4
		}
		e.Hashed = append(e.Hashed, h)
	}
	return e
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

func random() uint64 { return 12345 }

// TestGoodEvidencePasses: with one key a replica uses one queue, though its destination address was rewritten.
func TestGoodEvidencePasses(t *testing.T) {
	e := good(t)
	for _, c := range slices.Concat(e.checks(), e.controls(random)) {
		if !c.Pass {
			t.Errorf("%s: measured %v, expected %v: %s", c.Name, c.Measured, c.Expected, c.Detail)
		}
	}
	if used, all := e.hashed(SameKey).used(); used != testReplicas || all != testReplicas*testQueues {
		t.Errorf("with one key %d of %d queues are used, want one at each replica", used, all)
	}
}

// way returns the first way of a kind.
func (e Evidence) way(kept bool, s lb.Scheduler, h how) *Way {
	i := slices.IndexFunc(e.Ways, func(w Way) bool { return w.Kept == kept && w.Before.Scheduler == s && w.How == h })
	return &e.Ways[i]
}

// TestOneFault spoils good evidence by one fault: exactly the checks named must fail.
func TestOneFault(t *testing.T) {
	bare := []string{MovedAsPredicted, MovedBroke}
	for name, tt := range map[string]struct {
		spoil func(*Evidence)
		fail  []string
	}{
		"opened at another replica": {func(e *Evidence) {
			c := &e.way(true, lb.Modulo, grow).Connections[3]
			c.At = (c.At + 1) % testReplicas
		}, []string{PlacedAsPredicted}},
		"one moved that should not": {func(e *Evidence) {
			for i, c := range e.way(false, lb.Maglev, grow).Connections {
				if !c.moved() {
					e.way(false, lb.Maglev, grow).Connections[i].Seen = []int{(c.At + 1) % testReplicas}
					return
				}
			}
		}, bare},
		"one moved and did not break": {func(e *Evidence) {
			for i, c := range e.way(false, lb.Modulo, grow).Connections {
				if c.moved() {
					e.way(false, lb.Modulo, grow).Connections[i].Lost = false
					return
				}
			}
		}, []string{MovedBroke}},
		"one broke where flows are remembered": {func(e *Evidence) { e.way(true, lb.Maglev, drain).Connections[0].Lost = true }, []string{KeptNoneBroke}},
		"one was not opened": {func(e *Evidence) {
			w := e.way(true, lb.Modulo, drain)
			w.Connections = w.Connections[1:]
		}, []string{PlacedAsPredicted, KeptNoneBroke}},
		"one was not asked":                   {func(e *Evidence) { e.way(false, lb.Modulo, remove).Connections[0].Asked = false }, []string{PlacedAsPredicted, MovedAsPredicted, MovedBroke, SharesAsTheory}},
		"a capture dropped packets":           {func(e *Evidence) { e.Dropped = 1 }, bare},
		"a frame on a queue that has none":    {func(e *Evidence) { e.addEmpty(1) }, []string{QueuesAsPredicted}},
		"a queue without frames, another key": {func(e *Evidence) { e.Hashed[2].Frames[1][2] = 0 }, []string{QueuesAsPredicted, AllQueuesUsed}},
		"too few frames":                      {func(e *Evidence) { e.Hashed[1].Frames[0][0] /= 2 }, []string{QueuesAsPredicted}},
		"maglev moves as modulo does": {func(e *Evidence) {
			*e.way(false, lb.Maglev, grow) = *e.way(false, lb.Modulo, grow)
			*e.way(false, lb.Maglev, remove) = *e.way(false, lb.Modulo, remove)
		}, []string{MaglevMovesFewer}},
	} {
		e := good(t)
		tt.spoil(&e)
		if got := failing(e.checks()); !slices.Equal(got, tt.fail) {
			t.Errorf("%s: %v fail, want %v", name, got, tt.fail)
		}
	}
	if got := failing((Evidence{}).checks()); len(got) != 8 {
		t.Errorf("without evidence only %v fail", got)
	}
	if got := failing((Evidence{}).controls(random)); !slices.Contains(got, NotRemembered) || !slices.Contains(got, Undrained) || !slices.Contains(got, Polarised) || !slices.Contains(got, AnotherKey) {
		t.Errorf("without evidence only %v fail", got)
	}
}

// addEmpty adds frames to an empty queue of the first arm.
func (e *Evidence) addEmpty(frames uint64) {
	for q, n := range e.Hashed[0].Frames[0] {
		if n == 0 {
			e.Hashed[0].Frames[0][q] = frames
			return
		}
	}
}

// TestControlsCanFail: a control fails where what it broke had no effect.
func TestControlsCanFail(t *testing.T) {
	e := good(t)
	for i := range e.Ways {
		for n := range e.Ways[i].Connections {
			e.Ways[i].Connections[n].Lost = false
		}
	}
	e.Hashed[0] = e.Hashed[2]
	e.Hashed[0].Name = SameKey
	want := []string{NotRemembered, Undrained, Polarised}
	if got := failing(e.controls(random)); !slices.Equal(got, want) {
		t.Errorf("%v fail, want %v", got, want)
	}
}

// TestTheory: the shares of h mod N are exact, those of Maglev a little above what has to move.
func TestTheory(t *testing.T) {
	e := good(t)
	for _, tt := range []struct {
		s         lb.Scheduler
		how       how
		low, high float64
	}{{lb.Modulo, grow, 0.8, 0.8}, {lb.Modulo, remove, 0.75, 0.75}, {lb.Maglev, grow, 0.2, 0.22}, {lb.Maglev, remove, 0.25, 0.28}} {
		if got := e.way(false, tt.s, tt.how).share(); got < tt.low-1e-3 || got > tt.high {
			t.Errorf("%v, %s: %v, want %v to %v", tt.s, tt.how, got, tt.low, tt.high)
		}
	}
	if p := tail(100, 80, 0.8); p < 0.9 {
		t.Errorf("the mean has p = %v", p)
	}
	if p := tail(100, 20, 0.8); p > 1e-20 {
		t.Errorf("far from the mean p = %v", p)
	}
}

// TestReport draws everything.
func TestReport(t *testing.T) {
	e := good(t)
	figures, err := e.figures()
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Write(t.TempDir(), report.Result{Experiment: "change", Checks: e.checks(), Tables: e.tables()}, figures); err != nil {
		t.Fatal(err)
	}
}

func TestParametersAreChecked(t *testing.T) {
	trialtest.Parameters(t, Experiment(), map[string]bool{
		"replicas=3": true, "replicas=1": false, "replicas=33": false, "queues=8": true, "queues=6": false, "queues=1": false,
		"connections=49": false, "connections=2001": false, "polarisation=79": false, "polarisation=319": false, "polarisation=320": true, "clients=0": false, "key=00": false,
	})
}

// TestChangeInSmall runs all arms with real packets: everything passes.
func TestChangeInSmall(t *testing.T) {
	trialtest.Quick(t, Experiment())
}
