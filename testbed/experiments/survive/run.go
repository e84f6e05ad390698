package survive

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"time"

	"lbctl/control/api"
	"lbctl/control/wire"
	"lbctl/testbed/cluster"
	"lbctl/testbed/experiment"
	"lbctl/testbed/helper"
	"lbctl/testbed/replica/echo"
	"lbctl/testbed/traffic/hold"
)

// run implements experiment.Design.
type run struct {
	parameters
	*experiment.Run
	cluster *cluster.Cluster
	random  *rand.Rand

	// services are those that are changed, untracked the one of them that remembers no flows.
	services  []*service
	untracked *service
	// other and sink have replicas of their own.
	other, sink *service
	// holders hold the connections, visitors are clients of other, servers are the replicas of all services but sink.
	holders, visitors holders
	servers           []*helper.Process
	held              connections
	planner           *planner
	// probed is how many SYNs were made so far.
	probed uint64
	// asked is when all connections were asked last, and took how long that took; disturbed is when a service was
	// changed last, or the daemon started.
	asked, disturbed time.Time
	took             time.Duration
	// flooded is when SYNs flooded the services: they evict half-open flows.
	flooded period

	findings findings
	rows     rows
}

// Arms implements experiment.Design.
func (r *run) Arms(ctx context.Context, frame *experiment.Run) (arms []experiment.Arm, err error) {
	r.Run, r.random = frame, frame.Random(1)
	r.held = connections{}
	r.planner = &planner{random: r.random, pool: r.replicas, used: map[use]int{}}
	r.makeServices()
	r.cluster, err = cluster.New(ctx, frame.Bed, cluster.Config{
		Replicas: r.replicas + others + sinks, Clients: r.clients, Flows: uint32(r.flows),
	})
	if err != nil {
		return nil, err
	}
	return []experiment.Arm{
		r.recorded("set up", 1, r.setUp),
		r.recorded("replicas change", r.changes, r.runChanges),
		{Name: "the daemon is killed", Steps: r.kills, Run: r.runKills},
		{Name: "applies are cut short", Steps: r.cuts, Run: r.runCuts},
		{Name: "the program is swapped", Steps: r.updates, Run: r.runUpdates},
		{Name: "tables are switched", Steps: r.switches, Run: r.runSwitches},
		r.recorded("nothing changes", 0, r.runPause),
		r.recorded("SYN flood", floodSteps, r.runSYNFlood),
		r.recorded("ACK flood", floodSteps, r.runACKFlood),
		{Name: "last round", Run: r.askAll},
		{Name: "control: purged", Steps: 1, Run: r.runPurge},
	}, nil
}

// recorded is an arm after which the report shows what is remembered of flows, and the memory.
func (r *run) recorded(name string, steps int, f func(context.Context) error) experiment.Arm {
	return experiment.Arm{Name: name, Steps: steps, Run: func(ctx context.Context) error {
		if err := f(ctx); err != nil {
			return err
		}
		return r.record(ctx, name)
	}}
}

// Conclude implements experiment.Design.
func (r *run) Conclude(frame *experiment.Run) error {
	frame.Check(r.findings.checks()...)
	frame.Control(r.findings.controls()...)
	r.findings.answer(frame)
	frame.Table(r.rows.tables(r.kinds())...)
	return nil
}

// setUp configures the load balancer, starts replicas and clients, and opens the connections.
func (r *run) setUp(ctx context.Context) error {
	if err := r.configure(ctx); err != nil {
		return err
	}
	for i := range r.replicas + others {
		var listen []netip.AddrPort
		for port := range ports {
			listen = append(listen, shifted(cluster.ReplicaAddress(i), port))
		}
		server, err := r.cluster.Echo(ctx, i, echo.Config{Listen: listen, Patience: 2 * r.idle})
		if err != nil {
			return err
		}
		r.servers = append(r.servers, server)
	}
	var err error
	if r.holders, err = r.start(ctx, r.processes); err != nil {
		return err
	}
	if r.visitors, err = r.start(ctx, 1); err != nil {
		return err
	}
	return r.open()
}

// configure gives the load balancer all services.
func (r *run) configure(ctx context.Context) (err error) {
	var services []api.Service
	for _, s := range append(r.changed(), r.other, r.sink) {
		r.Log.Debug("service", "is", s.String())
		services = append(services, wire.NamedService(s.name, s.Service))
	}
	if err := r.cluster.Apply(ctx, services...); err != nil {
		return err
	}
	r.XDP, err = r.cluster.Mode(ctx)
	return err
}

// changed returns the services that are changed, the control among them.
func (r *run) changed() []*service {
	return append(append([]*service(nil), r.services...), r.untracked)
}

// wanted is how many connections there should be to a service.
func (r *run) wanted(s *service) int {
	for i, t := range r.services {
		if t == s {
			return share(r.connections, i, len(r.services))
		}
	}
	return r.bare
}

// open opens the connections that there should be.
func (r *run) open() error {
	var o hold.Order
	for _, s := range r.changed() {
		o.Open = append(o.Open, hold.OpenRequest{VIP: s.VIP.Address, Count: r.wanted(s)})
	}
	ordered := time.Now()
	report, err := r.holders.order(o)
	if err != nil {
		return err
	}
	r.held.enter(report, ordered)
	r.asked = ordered
	for _, s := range r.changed() {
		r.enter(&part{service: s, found: arrivals(s, s, report)})
	}
	return nil
}

// runChanges changes the replicas of all services again and again.
func (r *run) runChanges(ctx context.Context) error {
	for n := range r.changes {
		st := r.newStep(r.changed(), every())
		if err := st.do(ctx, st.probe); err != nil {
			return err
		}
		for _, p := range st.parts {
			r.rows.changes = append(r.rows.changes, p.rows(n+1)...)
			r.enter(p)
		}
		r.Advance(1)
	}
	return r.raiseAll(ctx)
}

// enter takes note of what was found of a service.
func (r *run) enter(p *part) {
	if p.service == r.untracked {
		r.findings.untracked = r.findings.untracked.plus(p.found)
		return
	}
	r.findings.tracked = r.findings.tracked.plus(p.found)
}
