package spread

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/testbed/capture"
	"lbctl/testbed/predict"
	"lbctl/testbed/replica"
	"lbctl/testbed/report"
	"lbctl/testbed/traffic"
)

// failing returns the names of the checks that fail, sorted.
func failing(checks []report.Check) []string {
	names := []string{}
	for _, c := range checks {
		if !c.Pass {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return names
}

// sorted returns names sorted.
func sorted(names ...string) []string {
	slices.Sort(names)
	return names
}

func TestGoodEvidencePasses(t *testing.T) {
	m := testModel(t)
	checks := Checks(good(m), m)
	for _, c := range checks {
		if !c.Pass {
			t.Errorf("%s: measured %v, expected %v: %s", c.Name, c.Measured, c.Expected, c.Detail)
		}
	}
	names := []string{}
	for _, c := range checks {
		names = append(names, c.Name)
	}
	want := []string{
		"flow-replica-affinity", "flow-queue-affinity", "flow-core-affinity", "queue-as-predicted",
		"replica-as-predicted", "object-spread", "nothing-lost",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("names of the checks are a contract (-want +got):\n%s", diff)
	}
}

// TestOneFault spoils good evidence by one fault: exactly the checks named must fail.
func TestOneFault(t *testing.T) {
	stranger := netip.MustParseAddrPort("203.0.113.9:999")
	replicas := []string{FlowReplicaAffinity, ReplicaAsPredicted, ObjectSpread}
	queues := []string{FlowQueueAffinity, FlowCoreAffinity, QueueAsPredicted}
	tests := map[string]struct {
		spoil func(*Evidence)
		fail  []string
	}{
		"client's log names two replicas": {
			func(e *Evidence) { e.Requests[1].Replica = (e.Requests[1].Replica + 1) % testReplicas },
			[]string{FlowReplicaAffinity, ReplicaAsPredicted, NothingLost},
		},
		"access logs name two replicas": {
			func(e *Evidence) {
				e.Access[1] = append(e.Access[1], replica.Access{Flow: e.Access[0][0].Flow, Object: 1, Status: 404})
			},
			[]string{FlowReplicaAffinity, ReplicaAsPredicted},
		},
		"a packet went to another replica": {
			func(e *Evidence) {
				f := e.Captures[0].Flows[0]
				f.Flow.Destination, f.Packets = e.Replicas[1], 1
				e.Captures[0].Flows[0].Packets--
				e.Captures[1].Flows = append(e.Captures[1].Flows, f)
			},
			[]string{FlowReplicaAffinity, ReplicaAsPredicted},
		},
		"a packet came on another queue, same core": {
			func(e *Evidence) {
				f := &e.Observed[5]
				for q := range f.Queues {
					f.Queues[q]--
					f.Queues[(q+2)%testQueues]++
					break
				}
			},
			[]string{FlowQueueAffinity, QueueAsPredicted},
		},
		"a whole flow came on another queue": {
			func(e *Evidence) {
				f := &e.Observed[5]
				for q, n := range f.Queues {
					f.Queues = map[rss.Queue]uint64{(q + 1) % testQueues: n}
					break
				}
			},
			[]string{QueueAsPredicted},
		},
		"a packet was processed on another core": {
			func(e *Evidence) { e.Observed[5].CPUs = []int{0, 1} },
			[]string{FlowCoreAffinity},
		},
		"a whole flow went to another replica": {
			func(e *Evidence) { move(e, e.Observed[9].Flow.Source, testReplicas) },
			[]string{ReplicaAsPredicted},
		},
		"a request without an answer": {
			func(e *Evidence) { e.Requests[7].Status, e.Requests[7].Err = 0, "timeout" },
			[]string{NothingLost},
		},
		"wrong bytes": {
			func(e *Evidence) { e.Requests[7].Err = "sha256 differs" },
			[]string{NothingLost},
		},
		"a request that was never made": {
			func(e *Evidence) { e.Requests = e.Requests[:len(e.Requests)-1] },
			[]string{NothingLost},
		},
		"an answer that no replica logged": {
			func(e *Evidence) { e.Access[2] = e.Access[2][1:] },
			[]string{NothingLost},
		},
		"a request too many": {
			func(e *Evidence) { e.Requests = append(e.Requests, e.Requests[0]) },
			[]string{NothingLost},
		},
		"a failed request too many": {
			func(e *Evidence) { e.Requests = append(e.Requests, traffic.Request{Err: "timeout"}) },
			[]string{NothingLost},
		},
		"a packet that a link dropped, by its own account": {
			func(e *Evidence) { e.Captures[0].Flows[0].Packets--; e.LinkDropped++ },
			nil,
		},
		"a link that says it dropped what arrived": {
			func(e *Evidence) { e.LinkDropped++ },
			[]string{NothingLost},
		},
		"one packet fewer there, one more back": {
			func(e *Evidence) { e.Captures[0].Flows[0].Packets--; e.Captures[0].Flows[1].Packets++ },
			[]string{NothingLost},
		},
		"objects are kept on two replicas each": {
			func(e *Evidence) { byObject(e, 2) },
			[]string{FlowReplicaAffinity, NothingLost, ObjectSpread, ReplicaAsPredicted},
		},
		"objects are kept on one replica each": {
			func(e *Evidence) { byObject(e, 1) },
			[]string{FlowReplicaAffinity, NothingLost, ObjectSpread, ReplicaAsPredicted},
		},
		"reasons do not sum to the packets seen": {
			func(e *Evidence) { e.Seen++ },
			[]string{NothingLost},
		},
		"a packet dropped under a name": {
			func(e *Evidence) { e.Reasons[lb.NoReplica]++; e.Seen++ },
			[]string{NothingLost},
		},
		"a packet forwarded that never arrived": {
			func(e *Evidence) { e.Captures[0].Flows[0].Packets-- },
			[]string{NothingLost},
		},
		"an answer returned that no replica sent": {
			func(e *Evidence) { e.Reasons[lb.Returned]++; e.Seen++ },
			[]string{NothingLost},
		},
		"a packet observed and not forwarded": {
			func(e *Evidence) {
				for q := range e.Observed[0].Queues {
					e.Observed[0].Queues[q]++
				}
				e.Observed[0].Packets++
			},
			[]string{NothingLost},
		},
		"captures dropped packets": {
			func(e *Evidence) { e.Captures[3].Dropped = 1 },
			append([]string{NothingLost}, replicas...),
		},
		"the observer missed packets": {
			func(e *Evidence) { e.Missed = 1 },
			append([]string{NothingLost}, queues...),
		},
		"a connection that no capture saw": {
			func(e *Evidence) {
				gone := e.Observed[3].Flow.Source
				for i := range e.Captures {
					e.Captures[i].Flows = slices.DeleteFunc(e.Captures[i].Flows, func(f capture.Flow) bool {
						return f.Flow.Source == gone || f.Flow.Destination == gone
					})
				}
			},
			append([]string{NothingLost}, replicas...),
		},
		"a connection that no access log has": {
			func(e *Evidence) {
				gone := e.Observed[3].Flow.Source
				for i := range e.Access {
					e.Access[i] = slices.DeleteFunc(e.Access[i], func(a replica.Access) bool { return a.Flow.Source == gone })
				}
			},
			append([]string{NothingLost}, replicas...),
		},
		"a connection that the observer did not see": {
			func(e *Evidence) { e.Observed = e.Observed[1:] },
			append([]string{NothingLost}, queues...),
		},
		"a connection that only the observer saw": {
			func(e *Evidence) {
				f := e.Observed[0]
				f.Flow.Source, f.Packets = stranger, 0
				e.Observed = append(e.Observed, f)
			},
			append(slices.Clone(replicas), queues...),
		},
		"all connections to one replica": {
			func(e *Evidence) {
				for _, f := range e.Observed {
					move(e, f.Flow.Source, 0)
				}
			},
			[]string{ReplicaAsPredicted, ObjectSpread},
		},
		"no evidence at all": {
			func(e *Evidence) {
				*e = Evidence{VIP: e.VIP, Replicas: e.Replicas, Objects: e.Objects}
				e.Access = make([][]replica.Access, testReplicas)
			},
			append(append([]string{NothingLost}, replicas...), queues...),
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := testModel(t)
			e := good(m)
			tt.spoil(&e)
			if diff := cmp.Diff(sorted(tt.fail...), failing(Checks(e, m)), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("failing checks (-want +got):\n%s", diff)
			}
		})
	}
}

// move sends all that a client did to another replica: number to, or the next one
// after its own if to is testReplicas.
func move(e *Evidence, client netip.AddrPort, to int) {
	from := slices.IndexFunc(e.Access, func(log []replica.Access) bool {
		return slices.ContainsFunc(log, func(a replica.Access) bool { return a.Flow.Source == client })
	})
	if to == testReplicas {
		to = (from + 1) % testReplicas
	}
	if from == to {
		return
	}
	for i := range e.Requests {
		if e.Requests[i].Flow.Source == client {
			e.Requests[i].Replica = to
		}
	}
	var log []replica.Access
	for _, a := range e.Access[from] {
		if a.Flow.Source == client {
			a.Flow.Destination = e.Replicas[to]
			e.Access[to] = append(e.Access[to], a)
		} else {
			log = append(log, a)
		}
	}
	e.Access[from] = log
	var flows []capture.Flow
	for _, f := range e.Captures[from].Flows {
		switch client {
		case f.Flow.Source:
			f.Flow.Destination = e.Replicas[to]
		case f.Flow.Destination:
			f.Flow.Source = e.Replicas[to]
		default:
			flows = append(flows, f)
			continue
		}
		e.Captures[to].Flows = append(e.Captures[to].Flows, f)
	}
	e.Captures[from].Flows = flows
}

// byObject rewrites the access logs as if a router that reads requests kept each
// object on its n replicas.
func byObject(e *Evidence, n int) {
	logs := make([][]replica.Access, testReplicas)
	turn := 0
	for _, log := range e.Access {
		for _, a := range log {
			at := (a.Object + turn%n) % testReplicas
			turn++
			logs[at] = append(logs[at], a)
		}
	}
	e.Access = logs
}

// TestFewConnectionsShowNothing: ten connections that spread are not evidence enough.
func TestFewConnectionsShowNothing(t *testing.T) {
	m := testModel(t)
	e := fabricate(m, 10, testObjects, func(_ *rand.Rand, n int) int { return n })
	if diff := cmp.Diff([]string{ObjectSpread}, failing(Checks(e, m))); diff != "" {
		t.Errorf("failing checks (-want +got):\n%s", diff)
	}
}

// TestObjectsAskedForOnce: many connections, but each object over one of them only. That
// no object is on several replicas is chance, and shows no spread.
func TestObjectsAskedForOnce(t *testing.T) {
	m := testModel(t)
	next := -1
	e := fabricate(m, testConnections, 1, func(*rand.Rand, int) int { next++; return next })
	e.Objects = testConnections
	if diff := cmp.Diff([]string{ObjectSpread}, failing(Checks(e, m))); diff != "" {
		t.Errorf("failing checks (-want +got):\n%s", diff)
	}
}

// TestModelIsHModN pins the model of the problem set: replica h mod N.
func TestModelIsHModN(t *testing.T) {
	m := testModel(t)
	for _, f := range good(m).Observed {
		if want := oracle.Hash(m.Service, m.Key, f.Flow) % testReplicas; m.Replica(f.Flow) != int(want) {
			t.Fatalf("%v goes to replica %d, want h mod N = %d", f.Flow, m.Replica(f.Flow), want)
		}
	}
}

// TestOneConnectionIsNoSpread: all objects over one connection come from one replica.
// That is what chance makes of one connection, and no spread all the same.
func TestOneConnectionIsNoSpread(t *testing.T) {
	m := testModel(t)
	e := fabricate(m, 1, testObjects, func(_ *rand.Rand, n int) int { return n })
	if diff := cmp.Diff([]string{ObjectSpread}, failing(Checks(e, m))); diff != "" {
		t.Errorf("failing checks (-want +got):\n%s", diff)
	}
}

// TestUnevenReplicas: three of four replicas serve every object, the fourth next to
// nothing. All objects are on several replicas, but the shares are not chance.
func TestUnevenReplicas(t *testing.T) {
	m := testModel(t)
	e := good(m)
	for i, f := range e.Observed {
		if i%10 != 0 && m.Replica(f.Flow) == 3 {
			move(&e, f.Flow.Source, 2)
		}
	}
	if !slices.Contains(failing(Checks(e, m)), ObjectSpread) {
		t.Error("a replica with a tenth of its share passed object-spread")
	}
}

// TestModelOfAnother: the right evidence against a model with another key, another
// table, another hash, fails only what that model predicts.
func TestModelOfAnother(t *testing.T) {
	m := testModel(t)
	e := good(m)
	symmetric, _ := rss.Named("symmetric")
	config := m.NIC.Config()
	config.Key = symmetric
	other, err := nic.New(config)
	if err != nil {
		t.Fatal(err)
	}
	seed := m.Service
	seed.Seed++
	for name, tt := range map[string]struct {
		model predict.Model
		fail  string
	}{
		"key":  {predict.New(other, m.Service, m.Key), QueueAsPredicted},
		"hash": {predict.New(m.NIC, seed, m.Key), ReplicaAsPredicted},
	} {
		if diff := cmp.Diff([]string{tt.fail}, failing(Checks(e, tt.model))); diff != "" {
			t.Errorf("another %s (-want +got):\n%s", name, diff)
		}
	}
}

// TestRequestsWithoutAConnection: a connect that failed has no flow; it is lost, and
// is not taken for a connection.
func TestRequestsWithoutAConnection(t *testing.T) {
	m := testModel(t)
	e := good(m)
	e.Requests = append(e.Requests, traffic.Request{Connection: testConnections, Flow: packet.Flow{}, Err: "connect: refused"})
	e.Wanted++
	if diff := cmp.Diff([]string{NothingLost}, failing(Checks(e, m))); diff != "" {
		t.Errorf("failing checks (-want +got):\n%s", diff)
	}
}
