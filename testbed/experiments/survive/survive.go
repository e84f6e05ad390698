// Package survive is the experiment that shows that no connection breaks when replicas change:
// real TCP connections through the real daemon survive changes of all kinds, floods, deaths of
// the daemon, also in the middle of an apply, swaps of its program and switches of tables.
//
// Four services, each with its VIP's port and its port at the replicas, are changed at the same time:
// one with h mod N and one with a Maglev table that remember flows where a change made it necessary, one that
// remembers every flow, and as a control one that remembers none. Two more have replicas of their own and are not
// flooded: clients open new connections to other; sink takes frames that are counted and SYNs that nobody answers.
//
// What has to become of a connection is computed here, from the changes that were made and, where flows
// are not remembered, from tables made with lb/scheduler and hashed with lb/oracle: the load balancer is never asked
// where a connection is. Each message has other bytes, which come back behind the number of the replica.
package survive

import (
	"fmt"
	"time"

	"lbctl/lb"
	"lbctl/testbed/cluster"
	"lbctl/testbed/experiment"
)

// Experiment is the entry of the lab's catalogue.
func Experiment() experiment.Experiment {
	return experiment.Experiment{
		Name: "survive", Problem: "10",
		Question: "Does a connection stay with its replica while replicas come and go, under floods, and when the daemon dies?",
		Claim:    "With i = h mod N a connection changes its replica, and breaks, when N changes.",
		Method:   "Real TCP connections are held through the real daemon while services are changed, flooded and their daemon is killed. Each connection sends messages and is answered by its replica, by another, or not at all; what must become of it is computed beside it.",
		Needs:    experiment.Needs{Time: 50 * time.Second, Quick: 30 * time.Second},
		Rig:      "veth",
		Checks: []experiment.Statement{
			{Name: ConnectionsKept, Text: "no connection breaks when replicas are added, drained, removed after their drain, weighted, and set down and up, or tables and hashes change"},
			{Name: NewByTheTable, Text: "every new connection goes to the replica that the new table names"},
			{Name: RetransmittedSYN, Text: "a SYN that comes again after a change goes to the same replica"},
			{Name: SYNFloodKept, Text: "no connection breaks in a SYN flood while replicas change"},
			{Name: ACKFloodKept, Text: "no connection breaks in an ACK flood while replicas change"},
			{Name: OtherServiceServed, Text: "new connections to a service that is not flooded succeed"},
			{Name: NeighboursStay, Text: "a flood evicts no half-open flow of another service"},
			{Name: KillLost, Text: "no frame is lost when the daemon is killed"},
			{Name: CutIsOldOrNew, Text: "when the daemon dies in the middle of an apply, packets find the old table or the new one"},
			{Name: CutConverges, Text: "after such a death the next start goes on with a whole intent and makes it effective"},
			{Name: UpdateLost, Text: "no frame is lost when a new daemon swaps the program"},
			{Name: SwitchLost, Text: "no frame is lost when a table is replaced"},
			{Name: SwitchMisrouted, Text: "no frame goes to a replica that is neither in the old table nor in the new one"},
			{Name: KeptMeanwhile, Text: "no connection breaks while no service changes"},
			{Name: HardlyExcluded, Text: "hardly any message is left out, because of what was known before its answer was due"},
		},
		Controls: []experiment.Statement{
			{Name: Untracked, Text: "a service that remembers no flows is changed in the same ways"},
			{Name: FloodUntracked, Text: "the same during the floods"},
			{Name: RemovedUndrained, Text: "replicas are removed without drain"},
			{Name: OlderTable, Text: "new connections are compared with the table from before the change"},
			{Name: HalfOpenEvicted, Text: "the flood evicts half-open flows of the flooded service"},
			{Name: ThirdTable, Text: "what packets met is compared with a table that no service ever had"},
			{Name: Purged, Text: "the daemon is killed and its pins are removed"},
			{Name: Forgotten, Text: "the pins are removed, and with them the memory of flows"},
			{Name: Unserved, Text: "without pins no service is served"},
			{Name: TableUnknown, Text: "frames of the new table are compared with the old one alone"},
			{Name: Excused, Text: "the connections that were lost with the pins are excluded"},
		},
		Predictions: predictions(),
		Design:      func() experiment.Design { return &run{} },
	}
}

// parameters are what one can set.
type parameters struct {
	connections, processes, clients, replicas int
	changes, fresh, probes, flows             int
	bare                                      int
	idle                                      time.Duration
	pause                                     bool
	syns, acks                                int
	kills, cuts, updates, switches, rate      int
}

// others and sinks are how many replicas the services other and sink have for themselves.
const (
	others = 2
	sinks  = 6
)

// maxFlood is how many different sources a flood can have: the addresses of an IPv4 network of 8 bits.
const maxFlood = 1 << 24

// Parameters implements experiment.Design.
func (p *parameters) Parameters(f *experiment.Parameters) {
	type ints = experiment.Ints
	f.Int(&p.connections, "connections", ints{Low: 3 * started, High: 1 << 18, Default: 2000, Quick: 120, Full: 20_000}, "the number of live connections")
	f.Int(&p.processes, "processes", ints{Low: 1, High: 64, Default: 2, Full: 4}, "the number of client processes")
	f.Int(&p.clients, "clients", ints{Low: 1, High: cluster.MaxClients, Default: 100, Quick: 20, Full: 400}, "the number of client addresses")
	f.Int(&p.replicas, "replicas", ints{Low: started + 1, High: cluster.MaxReplicas - others - sinks, Default: 8}, "the number of replicas that there are, five of them in use at first")
	f.Int(&p.changes, "changes", ints{Low: 1, High: 10_000, Default: 20, Quick: 10, Full: 100}, "how often each service is changed")
	f.Int(&p.fresh, "fresh", ints{Low: 1, High: 10_000, Default: 10, Quick: 3}, "the number of connections to each service that are opened after each change")
	f.Int(&p.probes, "probes", ints{Low: 1, High: 10_000, Default: 32, Quick: 16}, "the number of SYNs that are sent before and again after a change")
	f.Int(&p.flows, "flows", ints{Low: 1 << 10, High: lb.MaxFlows, Default: int(lb.DefaultLimits.Flows), Quick: 1 << 16}, "how many flows the load balancer can remember, a power of two")
	f.Int(&p.bare, "untracked", ints{Low: started, High: 1 << 16, Default: 200, Quick: 30}, "the number of live connections of the control that remembers no flows")
	f.Duration(&p.idle, "idle", experiment.Durations{Low: lb.MinIdle, High: lb.MaxIdle, Default: 12 * time.Second, Full: 30 * time.Second}, "how long a flow may be silent and is still remembered, in whole seconds")
	f.Bool(&p.pause, "pause", true, "whether to wait, before the floods, until nothing has changed for longer than the idle time")
	f.Int(&p.syns, "syns", ints{Low: 1, High: maxFlood, Default: 1_000_000, Quick: 40_000, Full: 10_000_000}, "the number of sources of the SYN flood")
	f.Int(&p.acks, "acks", ints{Low: 1, High: maxFlood, Default: 1_000_000, Quick: 20_000, Full: 10_000_000}, "the number of sources of the ACK flood")
	f.Int(&p.kills, "kills", ints{Low: 1, High: 10_000, Default: 5, Quick: 1, Full: 20}, "how often the daemon is killed")
	f.Int(&p.cuts, "cuts", ints{Low: 1, High: 10_000, Default: 10, Quick: 3, Full: 100}, "how often the daemon is killed in the middle of an apply")
	f.Int(&p.updates, "updates", ints{Low: 1, High: 1 << 20, Default: 20, Quick: 1, Full: 200}, "how often the daemon is restarted and swaps its program")
	f.Int(&p.switches, "switches", ints{Low: 1, High: 1 << 20, Default: 100, Quick: 5, Full: 1000}, "how often a table is replaced under load")
	f.Int(&p.rate, "rate", ints{Low: 1000, High: 10_000_000, Default: 100_000, Quick: 20_000}, "the load in frames per second during kills, updates and switches")
	f.Check(func() error { return experiment.Within("clients", p.clients, p.processes, cluster.MaxClients) })
	f.Check(func() error {
		if p.flows&(p.flows-1) != 0 {
			return fmt.Errorf("%w flows=%d: want a power of two", experiment.ErrParameter, p.flows)
		}
		if p.idle%time.Second != 0 {
			return fmt.Errorf("%w idle=%v: want whole seconds", experiment.ErrParameter, p.idle)
		}
		return nil
	})
}
