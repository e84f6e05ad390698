// Package kvstore is the experiment that shows which core handles a request of a key-value store of several threads.
//
// A core is two things. One is the core on which the kernel's network stack works on a connection's packets, in softirq
// context: the NIC chooses it with the receive queue, by the hash of the 4-tuple. The other is the core of the thread of the
// application that serves the request: whoever gave the connection to the thread has chosen it. The experiment
// measures both for every request. A key has many of both, and has one of both if the clients choose their source
// ports by the key and the store gives each connection to the thread on the core that its packets come on.
//
//	4-tuple -> queue -> core of the packets -> slot -> store -> thread -> core of the thread
//
// The analysis is pure: checks and tables are functions of Evidence. The witnesses are the observer in the kernel, the captures
// on the links of the stores, the store's own log, and for memcached the files of its process in /proc.
package kvstore

import (
	"fmt"
	"time"

	"lbctl/lb"
	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/testbed/cluster"
	"lbctl/testbed/experiment"
	"lbctl/testbed/kv"
	"lbctl/testbed/predict"
)

// Experiment is the entry of the lab's catalogue.
func Experiment() experiment.Experiment {
	return experiment.Experiment{
		Name: "kvstore", Problem: "5",
		Question: "Are all packets of a connection to a key-value store handled by one core, and are all requests for one key?",
		Claim:    "(a) Yes: all packets of a flow have the same 4-tuple, hence one hash, one queue and one core. (b) No: requests for a key come over different connections with different 4-tuples, and can be processed by different cores.",
		Method: "Clients get and put keys over connections that are chosen at random, through a simulated multi-queue NIC and the real load balancer, from stores of several threads: one written for this, and memcached. " +
			"An observer in the kernel sees on which queue and core each packet came. The store's link keeps that core; the socket says on which core the network stack worked (SO_INCOMING_CPU), and the thread on which core it serves the request (getcpu). " +
			"Which thread of memcached has a connection is read from /proc, where its epoll descriptors list theirs. How many cores a key has is compared with the exact distribution that chance makes of it. " +
			"The NIC is simulated in user space and its interrupt is the wake-up of a thread on the queue's core; and balancer and stores share one kernel, so that a packet stays on the core of the balancer's queue, where a store on a machine of its own would have the queues of its own NIC.",
		Needs: experiment.Needs{Packages: []string{memcached}, Time: 15 * time.Second, Quick: 9 * time.Second},
		Rig:   "softnic",
		Checks: []experiment.Statement{
			{Name: FlowOneQueue, Text: "no connection comes on more than one receive queue"},
			{Name: FlowOneCore, Text: "the packets of each connection are worked on by one core, by the balancer's NIC and by the store's network stack"},
			{Name: QueueAsPredicted, Text: "every packet comes on the queue that the Toeplitz model predicts"},
			{Name: KeyManyQueues, Text: "the requests for a key come on as many queues as chance predicts"},
			{Name: KeyManyCores, Text: "the requests for a key are served by threads on as many cores of the stores as chance predicts"},
			{Name: MemcachedManyThreads, Text: "the same for the threads of memcached"},
			{Name: KeyOneCore, Text: "where the clients choose their ports by the key, and the store gives connections to the thread on the core of their packets, a key has one core"},
			{Name: ServedWhereReceived, Text: "that store serves every request on the core that its packets came on"},
			{Name: NothingLost, Text: "every request is answered with the right value, and every packet is accounted for"},
		},
		Controls: []experiment.Statement{
			{Name: TableRewritten, Text: "the indirection table is rewritten while connections are open"},
			{Name: Spray, Text: "the NIC gives each packet to the next queue"},
			{Name: PortsByKey, Text: "the clients choose their ports by the key"},
			{Name: ThreadsInTurn, Text: "they do, but the store hands connections to its threads in turn"},
			{Name: AnotherKey, Text: "they do, but compute the ports with another RSS key"},
			{Name: OneThread, Text: "memcached has one thread"},
			{Name: WrongBytes, Text: "the stores serve one key with a byte changed"},
		},
		Predictions: predictions(),
		Design:      func() experiment.Design { return &design{} },
	}
}

// memcached is the name of the Debian package and of its program.
const memcached = "memcached"

// parameters are what one can set.
type parameters struct {
	stores, queues, threads      int
	keys, times                  int
	connections, clients, atOnce int
	key                          rss.Key
	install                      bool
}

// maxConnections is as many as the clients' process can be told ports of: one argument of a program holds 128 KiB.
const maxConnections = 4096

// Parameters implements experiment.Design.
func (p *parameters) Parameters(f *experiment.Parameters) {
	type ints = experiment.Ints
	f.Int(&p.stores, "stores", ints{Low: 1, High: 16, Default: 2}, "the number of stores behind the load balancer, which all hold all keys")
	f.Int(&p.queues, "queues", ints{Low: 2, High: 64, Default: 4}, "the number of receive queues of the NIC")
	f.Int(&p.threads, "threads", ints{Low: 2, High: 64, Default: 4}, "the number of threads of memcached")
	f.Int(&p.keys, "keys", ints{Low: 8, High: 4096, Default: 200, Quick: 64, Full: 1000}, "the number of keys")
	f.Int(&p.times, "times", ints{Low: 2, High: 64, Default: 8, Quick: 6, Full: 12}, "over how many connections each key is requested")
	f.Int(&p.connections, "connections", ints{Low: 16, High: maxConnections, Default: 1000, Quick: 320, Full: maxConnections}, "the number of connections")
	f.Int(&p.clients, "clients", ints{Low: 1, High: cluster.MaxClients, Default: 50}, "the number of client addresses")
	f.Int(&p.atOnce, "concurrency", ints{Low: 1, High: 1024, Default: 32}, "the number of connections with a request under way at a time")
	experiment.Value(f, &p.key, "key", "ms", "the RSS key, in hexadecimal or by name", rss.ParseKey)
	f.Bool(&p.install, "install", true, "whether to install memcached where it is missing")
	f.Check(func() error {
		return experiment.Within("connections", p.connections, max(p.times, 5)*p.classes(), maxConnections)
	})
	f.Check(func() error { return experiment.Within("clients", p.clients, p.fewestClients(), cluster.MaxClients) })
}

// classes is how many pairs of a queue and a store there are. Where clients choose their ports by the key, each key and
// each connection belongs to one.
func (p *parameters) classes() int { return p.queues * p.stores }

// fewestClients is how many addresses it takes to find all ports that are needed, with some to spare.
func (p *parameters) fewestClients() int {
	const arms, spare = 4, 2
	return 1 + p.connections*p.classes()*arms*spare/(lastPort-firstPort)
}

// plan says which keys are requested over which connections.
func (p *parameters) plan(seed uint64, classes int) kv.Plan {
	return kv.Plan{Connections: p.connections, Keys: p.keys, Times: p.times, Classes: classes, Seed: seed}
}

// model returns the models of the NIC and of the service. The seed is that of the load balancer's hash.
func (p *parameters) model(seed uint32) (m predict.Model, err error) {
	config, err := nic.Default(p.queues)
	if err != nil {
		return m, err
	}
	config.Key = p.key
	n, err := nic.New(config)
	if err != nil {
		return m, err
	}
	service := lb.Service{
		VIP:  lb.VIP{Address: cluster.VIP(), Protocol: packet.TCP},
		Seed: seed, Tracking: lb.DefaultTracking(packet.TCP),
	}
	for i := range p.stores {
		service.Replicas = append(service.Replicas, lb.Replica{Address: cluster.ReplicaAddress(i), Weight: 1})
	}
	service = service.WithDefaults()
	if err := service.Validate(); err != nil {
		return m, fmt.Errorf("make service: %w", err)
	}
	return predict.New(n, service, config.Key), nil
}
