// Package spread is the experiment that shows that every packet of a connection goes to one queue, one core and one
// replica, and that requests for one object do not.
//
// The analysis is pure: Checks and Figures are functions of Evidence. Three independent
// witnesses give the evidence: the logs of clients and replicas, the captures on the
// replicas' links, and the observer in the kernel.
package spread

import (
	"fmt"
	"time"

	"lbctl/lb"
	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/testbed/cluster"
	"lbctl/testbed/experiment"
	"lbctl/testbed/netns"
	"lbctl/testbed/predict"
	"lbctl/testbed/replica"
)

// Experiment is the entry of the lab's catalogue.
func Experiment() experiment.Experiment {
	return experiment.Experiment{
		Name: "spread", Problem: "5a, 10",
		Question: "Does every packet of a connection go to one queue, one core and one replica, and do requests for one object spread?",
		Claim:    "All packets of a TCP connection have one 4-tuple, hence one hash h, one queue and core, and one replica (i = h mod N). Requests for one object come over many connections, hence from all replicas.",
		Method:   "Clients send HTTP requests through a simulated multi-queue NIC and the real load balancer to replicas. The logs of both ends, captures on the replicas' links and an observer in the kernel tell where each packet went; models of NIC and load balancer predict it.",
		Needs:    experiment.Needs{Time: 12 * time.Second, Quick: 6 * time.Second},
		Rig:      "softnic",
		Checks: []experiment.Statement{
			{Name: FlowReplicaAffinity, Text: "no connection reaches more than one replica"},
			{Name: FlowQueueAffinity, Text: "no connection comes on more than one receive queue"},
			{Name: FlowCoreAffinity, Text: "every connection is processed on exactly one core"},
			{Name: QueueAsPredicted, Text: "every packet comes on the queue that the Toeplitz model predicts"},
			{Name: ReplicaAsPredicted, Text: "every connection goes to the replica that the load balancer's model predicts"},
			{Name: ObjectSpread, Text: "as many objects come from several replicas as chance predicts for these connections"},
			{Name: HotObjectSpread, Text: "the same where some objects are hot (Zipf's law with exponent 1.2): the hottest comes from as many replicas as chance predicts, and the replicas' shares are as equal"},
			{Name: NothingLost, Text: "every request is answered with the right bytes, and every packet is accounted for"},
		},
		Controls: []experiment.Statement{
			{Name: Spray, Text: "the NIC gives each packet to the next queue"},
			{Name: AnotherKey, Text: "the model of the NIC has another RSS key"},
			{Name: AnotherHash, Text: "the model of the load balancer has another seed or key"},
			{Name: TableRewritten, Text: "the indirection table is rewritten while connections are open"},
			{Name: OneConnection, Text: "all objects are requested over one connection"},
			{Name: WrongBytes, Text: "one replica serves some objects with a byte changed"},
			{Name: ReplicaRemoved, Text: "one replica is removed while connections are open and none is remembered"},
		},
		Predictions: predictions(),
		Design:      func() experiment.Design { return &design{} },
	}
}

// parameters are what one can set.
type parameters struct {
	replicas, queues, objects        int
	connections, requests, clients   int
	controlConnections               int
	concurrency, table, mtu          int
	minSize, maxSize, controlMaxSize int
	popularity                       float64
	key                              rss.Key
	scheduler                        lb.Scheduler
	hash                             lb.Hash
}

// maxMTU is about what native XDP allows: on a TAP a frame and its headroom have to fit a page.
const maxMTU = 3000

// Parameters implements experiment.Design.
func (p *parameters) Parameters(f *experiment.Parameters) {
	type ints = experiment.Ints
	f.Int(&p.replicas, "replicas", ints{Low: 2, High: cluster.MaxReplicas, Default: 4}, "the number of replicas")
	f.Int(&p.queues, "queues", ints{Low: 2, High: 256, Default: 4}, "the number of receive queues of the NIC")
	f.Int(&p.objects, "objects", ints{Low: 1, High: 1 << 16, Default: 64}, "the number of web objects")
	f.Int(&p.connections, "connections", ints{Low: 1, High: 1 << 20, Default: 4000, Quick: 400, Full: 40_000}, "the number of connections")
	f.Int(&p.requests, "requests", ints{Low: 1, High: 1 << 24, Default: 16_000, Quick: 1600, Full: 160_000}, "the number of requests, a multiple of connections")
	f.Int(&p.clients, "clients", ints{Low: 1, High: cluster.MaxClients, Default: 200}, "the number of client addresses")
	f.Int(&p.concurrency, "concurrency", ints{Low: 1, High: 4096, Default: 64}, "the number of connections with a request under way at a time")
	f.Int(&p.table, "table", ints{Low: 2, High: rss.MaxTableSize, Default: nic.DefaultTableSize}, "the number of entries of the indirection table")
	f.Int(&p.mtu, "mtu", ints{Low: 576, High: maxMTU, Default: netns.DefaultMTU}, "the MTU of every link in bytes")
	f.Int(&p.minSize, "min-size", ints{Low: 1, High: 1 << 30, Default: 200}, "the size of the smallest object in bytes")
	f.Int(&p.maxSize, "max-size", ints{Low: 1, High: 1 << 30, Default: 1_000_000}, "the size of the largest object in bytes")
	f.Int(&p.controlConnections, "control-connections", ints{Low: 1, High: 1 << 20, Default: 400}, "the number of connections of a control with traffic of its own")
	f.Int(&p.controlMaxSize, "control-max-size", ints{Low: 1, High: 1 << 30, Default: 20_000}, "the size of the largest object in those, in bytes")
	f.Float(&p.popularity, "popularity", experiment.Floats{High: 10}, "the exponent of Zipf's law of the objects' popularity, 0 for uniform")
	experiment.Value(f, &p.key, "key", "ms", "the RSS key, in hexadecimal or by name", rss.ParseKey)
	experiment.Value(f, &p.scheduler, "scheduler", "modulo", "modulo or maglev", lb.ParseScheduler)
	experiment.Value(f, &p.hash, "hash", "jhash", "the load balancer's hash, jhash or toeplitz", lb.ParseHash)
	places := func() int { return 10 * max(p.replicas, p.queues) }
	f.Check(func() error { return experiment.Within("connections", p.connections, places(), 1<<20) })
	f.Check(func() error {
		return experiment.Within("control-connections", p.controlConnections, places(), 1<<20)
	})
	f.Check(func() error { return experiment.Within("table", p.table, p.queues, rss.MaxTableSize) })
	f.Check(func() error { return experiment.Within("min-size", p.minSize, 1, min(p.maxSize, p.controlMaxSize)) })
	f.Check(func() error {
		if p.requests%p.connections != 0 || p.requests == 0 {
			return fmt.Errorf("%w requests=%d: want a multiple of connections, %d", experiment.ErrParameter, p.requests, p.connections)
		}
		return nil
	})
}

// site returns the web site with objects of up to a size.
func (p *parameters) site(seed uint64, maxSize int) replica.Site {
	return replica.Site{Seed: seed, Objects: p.objects, MinSize: p.minSize, MaxSize: maxSize}
}

// model returns the models of the NIC and of the service. The seed is the service's.
func (p *parameters) model(seed uint32) (predict.Model, error) {
	config, err := nic.Default(p.queues)
	if err != nil {
		return predict.Model{}, err
	}
	config.Key = p.key
	if config.Table, err = rss.EqualTable(p.table, p.queues); err != nil {
		return predict.Model{}, err
	}
	n, err := nic.New(config)
	if err != nil {
		return predict.Model{}, err
	}
	service := lb.Service{
		VIP:       lb.VIP{Address: cluster.VIP(), Protocol: packet.TCP},
		Scheduler: p.scheduler, Hash: p.hash, Tracking: lb.DefaultTracking(packet.TCP),
	}
	if service.Hash == lb.JHash { // Toeplitz has a key instead
		service.Seed = seed
	}
	for i := range p.replicas {
		service.Replicas = append(service.Replicas, lb.Replica{Address: cluster.ReplicaAddress(i), Weight: 1})
	}
	service = service.WithDefaults()
	if err := service.Validate(); err != nil {
		return predict.Model{}, fmt.Errorf("make service: %w", err)
	}
	return predict.New(n, service, config.Key), nil
}
