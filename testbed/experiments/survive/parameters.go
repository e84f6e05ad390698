package survive

import (
	"cmp"
	"flag"
	"fmt"
	"time"

	"lbctl/lb"
	"lbctl/testbed/bed"
	"lbctl/testbed/experiment"
)

// parameters are what one can set. The zero value is not valid: see newTrial.
type parameters struct {
	connections, processes, clients, replicas int
	changes, fresh, probes, flows             int
	bare                                      int
	idle                                      time.Duration
	rest                                      bool
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

// define gives each parameter its name, default and help.
func (p *parameters) define(f *flag.FlagSet) {
	f.IntVar(&p.connections, "connections", 2000, "the number of live connections; full size: 20000")
	f.IntVar(&p.processes, "processes", 2, "the number of client processes")
	f.IntVar(&p.clients, "clients", 100, "the number of client addresses")
	f.IntVar(&p.replicas, "replicas", 8, "the number of replicas that there are, five of them in use at first")
	f.IntVar(&p.changes, "changes", 20, "how often each service is changed; full size: 100")
	f.IntVar(&p.fresh, "fresh", 10, "the number of connections to each service that start after each change")
	f.IntVar(&p.probes, "probes", 32, "the number of SYNs that are sent before and again after a change")
	f.IntVar(&p.flows, "flows", int(lb.DefaultLimits.Flows), "how many flows the load balancer can remember, a power of two")
	f.IntVar(&p.bare, "untracked", 200, "the number of live connections of the control that remembers no flows")
	f.DurationVar(&p.idle, "idle", 12*time.Second, "how long a flow may be silent and is still remembered")
	f.BoolVar(&p.rest, "rest", true, "whether to wait, before the floods, until nothing has changed for longer than that")
	f.IntVar(&p.syns, "syns", 1_000_000, "the number of sources of the SYN flood; full size: 10000000")
	f.IntVar(&p.acks, "acks", 1_000_000, "the number of sources of the ACK flood; full size: 10000000")
	f.IntVar(&p.kills, "kills", 5, "how often the daemon is killed; full size: 20")
	f.IntVar(&p.cuts, "cuts", 10, "how often the daemon is killed in the middle of an apply; full size: 100")
	f.IntVar(&p.updates, "updates", 20, "how often the daemon is started anew and swaps its program; full size: 1000")
	f.IntVar(&p.switches, "switches", 100, "how often a table is replaced under load; full size: 1000")
	f.IntVar(&p.rate, "rate", 100_000, "the load in frames per second during kills, updates and switches")
}

// validate says what is out of range. Its errors wrap experiment.ErrParameter.
func (p *parameters) validate() error {
	if err := cmp.Or(
		experiment.Within("connections", p.connections, 3*started, 1<<18),
		experiment.Within("processes", p.processes, 1, 64),
		experiment.Within("clients", p.clients, p.processes, bed.MaxClients),
		experiment.Within("replicas", p.replicas, started+1, bed.MaxReplicas-others-sinks),
		experiment.Within("changes", p.changes, 1, 10_000),
		experiment.Within("fresh", p.fresh, 1, 10_000),
		experiment.Within("probes", p.probes, 1, 10_000),
		experiment.Within("flows", p.flows, 1<<10, 1<<28),
		experiment.Within("untracked", p.bare, started, 1<<16),
		experiment.Within("syns", p.syns, 1, maxFlood),
		experiment.Within("acks", p.acks, 1, maxFlood),
		experiment.Within("kills", p.kills, 1, 10_000),
		experiment.Within("cuts", p.cuts, 1, 10_000),
		experiment.Within("updates", p.updates, 1, 1<<20),
		experiment.Within("switches", p.switches, 1, 1<<20),
		experiment.Within("rate", p.rate, 1000, 10_000_000),
	); err != nil {
		return err
	}
	if p.flows&(p.flows-1) != 0 {
		return fmt.Errorf("%w flows=%d: want a power of two", experiment.ErrParameter, p.flows)
	}
	if p.idle < lb.MinIdle || p.idle > lb.MaxIdle || p.idle%time.Second != 0 {
		return fmt.Errorf("%w idle=%v: want whole seconds from %v to %v", experiment.ErrParameter, p.idle, lb.MinIdle, lb.MaxIdle)
	}
	return nil
}
