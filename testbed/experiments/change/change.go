// Package change is the experiment that shows what the textbook tells its reader to ignore: what becomes of live connections
// when the number of replicas changes, and what a hash is worth that two devices in a row compute.
//
// One service for each way to do it has connections of its own: the table is h mod N or Maglev's, the load balancer remembers
// flows or not, a replica is added, drained or removed. All are changed at once, then every connection sends a message.
// Captures on the replicas' links say where its packets go now, its client says whether it broke, and the tables, made here,
// say what should have become of it.
//
// Behind the load balancer each replica has a simulated NIC with several queues. If it hashes with the load balancer's own
// function and key, and both take the hash modulo numbers with a common divisor, all connections of a replica
// agree in what the queue is chosen by, and queues stay empty (polarisation). Rewriting the destination address does not help: the
// Toeplitz hash is linear, so that it changes the hashes of all connections of the replica by the same bits.
package change

import (
	"fmt"
	"time"

	"lbctl/rss"
	"lbctl/testbed/cluster"
	"lbctl/testbed/experiment"
)

// Experiment is the entry of the lab's catalogue.
func Experiment() experiment.Experiment {
	return experiment.Experiment{
		Name: "change", Problem: "10",
		Question: "How many live connections move, and how many break, when one of N replicas is added or removed, and what if the replicas' network cards hash as the load balancer does?",
		Claim:    "With i = h mod N all packets of a connection go to one replica, as long as N does not change.",
		Method: "Real connections are held through the real load balancer, to a service for each of h mod N and Maglev, with and without memory of flows, while replicas are added, drained and removed. Captures on the replicas' links say which connections come to another replica after the change. That is held against tables that are made here, connection by connection, and their share against what theory says. Which connections break, their clients say. " +
			"The replicas' network cards are simulated in user space: their own counters say which queue got frames. Load balancer and replicas share one machine: nothing is said about rates.",
		Needs: experiment.Needs{Time: 15 * time.Second, Quick: 7 * time.Second},
		Rig:   "softnic",
		Checks: []experiment.Statement{
			{Name: PlacedAsPredicted, Text: "every connection is opened at the replica that the model predicts"},
			{Name: MovedAsPredicted, Text: "without memory exactly the connections whose slot changed its owner come to another replica"},
			{Name: MovedBroke, Text: "and exactly these break"},
			{Name: SharesAsTheory, Text: "as many of them as the theory says, within chance"},
			{Name: MaglevMovesFewer, Text: "Maglev moves fewer than h mod N in the same change"},
			{Name: KeptNoneBroke, Text: "where flows are remembered, and a replica is drained before it is removed, no connection breaks"},
			{Name: QueuesAsPredicted, Text: "frames come to exactly those queues of the replicas' network cards that the model predicts"},
			{Name: AllQueuesUsed, Text: "with other keys at the replicas, and with Maglev, every queue of every replica gets connections"},
		},
		Controls: []experiment.Statement{
			{Name: NotRemembered, Text: "the load balancer remembers no flows"},
			{Name: Undrained, Text: "it does, but a replica is removed without drain"},
			{Name: AnotherHash, Text: "the model of the load balancer has another seed"},
			{Name: AnotherTable, Text: "the moves under h mod N are held against Maglev's share"},
			{Name: Polarised, Text: "load balancer and network cards hash with one function and key"},
			{Name: AnotherKey, Text: "the model of the replicas' network cards has another key"},
		},
		Predictions: predictions(),
		Design:      func() experiment.Design { return &design{} },
	}
}

// parameters are what one can set.
type parameters struct {
	replicas, queues, clients int
	connections, polarisation int
	key                       rss.Key
}

// perQueue is how many connections each queue of each replica should get at least, on average: with 20 some queue of 16 gets none by
// chance in 1 of 30 million runs.
const perQueue = 20

// Parameters implements experiment.Design.
func (p *parameters) Parameters(f *experiment.Parameters) {
	type ints = experiment.Ints
	f.Int(&p.replicas, "replicas", ints{Low: 2, High: 32, Default: 4}, "the number of replicas before the change, N")
	f.Int(&p.queues, "queues", ints{Low: 2, High: 16, Default: 4}, "the number of receive queues of a replica's NIC, a power of two")
	f.Int(&p.clients, "clients", ints{Low: 1, High: cluster.MaxClients, Default: 50}, "the number of client addresses")
	f.Int(&p.connections, "connections", ints{Low: 50, High: 2000, Default: 400, Quick: 100, Full: 2000}, "the number of live connections to each of ten services")
	f.Int(&p.polarisation, "polarisation", ints{Low: 80, High: 12_000, Default: 640, Quick: 320, Full: 2000}, "the number of connections in each arm with the replicas' NICs")
	experiment.Value(f, &p.key, "key", "ms", "the RSS key of load balancer and NICs, in hexadecimal or by name", rss.ParseKey)
	f.Check(func() error {
		if p.queues&(p.queues-1) != 0 {
			return fmt.Errorf("%w queues=%d: want a power of two", experiment.ErrParameter, p.queues)
		}
		return experiment.Within("polarisation", p.polarisation, perQueue*p.queues*p.polarised(), 12_000)
	})
}

// polarised is how many replicas the services have whose polarisation is shown: a power of two, at most the number of replicas.
func (p *parameters) polarised() int {
	n := 1
	for 2*n <= p.replicas {
		n *= 2
	}
	return n
}
