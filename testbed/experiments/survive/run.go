package survive

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"lbctl/control/api"
	"lbctl/control/wire"
	"lbctl/testbed/bed"
	"lbctl/testbed/experiment"
	"lbctl/testbed/replica/echo"
	"lbctl/testbed/traffic/hold"
)

// run is a trial on a set stage.
type run struct {
	*trial
	env    experiment.Env
	stage  *bed.Stage
	random *rand.Rand

	// services are those that are changed, untracked the one of them that remembers no flows.
	services  []*service
	untracked *service
	// other and sink have replicas of their own.
	other, sink *service
	// fleet holds the connections that are held, visitors are clients of other, servers are the replicas of both.
	fleet, visitors, servers fleet
	held                     ledger
	planner                  *planner
	// probed is how many SYNs were made so far.
	probed uint64
	// asked is when all connections were asked last, and took how long that took; disturbed is when a service was
	// changed last, or the daemon started.
	asked, disturbed time.Time
	took             time.Duration
	// flooded is when SYNs flooded the services: they push out flows that have only started.
	flooded period

	findings findings
	rows     rows
	xdp      string
	done     int
}

// total is how much there is to do, in steps of the progress bar.
func (r *run) total() int {
	return r.changes + r.kills + r.cuts + r.updates + r.switches + 2*floodSteps + 1
}

// advance tells the progress bar that n steps are done.
func (r *run) advance(n int) {
	r.done += n
	r.env.Progress.At(r.done)
}

// play plays all arms.
func (r *run) play(ctx context.Context) error {
	r.cast()
	r.held = ledger{}
	r.planner = &planner{random: r.random, pool: r.replicas, used: map[use]int{}}
	for _, part := range r.parts() {
		r.env.Progress.Step(part.name)
		err := part.play(ctx)
		if err == nil && part.remember {
			err = r.remember(ctx, part.name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// arm is a part of the experiment.
type arm struct {
	name string
	play func(context.Context) error
	// remember says that the report tells what was remembered of flows after it.
	remember bool
}

func (r *run) parts() []arm {
	return []arm{
		{"set up", r.setUp, true},
		{"replicas change", r.playChanges, true},
		{"the daemon is killed", r.playKills, false},
		{"applies are cut short", r.playCuts, false},
		{"the program is swapped", r.playUpdates, false},
		{"tables are switched", r.playSwitches, false},
		{"nothing changes", r.playRest, true},
		{"SYN flood", r.playSYNFlood, true},
		{"ACK flood", r.playACKFlood, true},
		{"last look", r.look, false},
		{"control: purged", r.playPurge, false},
	}
}

// setUp configures the load balancer, starts replicas and clients, and opens the connections.
func (r *run) setUp(ctx context.Context) error {
	if err := r.configure(ctx); err != nil {
		return err
	}
	for i := range r.replicas + others {
		var listen []netip.AddrPort
		for port := range ports {
			listen = append(listen, shifted(bed.ReplicaAddress(i), port))
		}
		server, err := r.stage.Echo(ctx, i, echo.Config{Listen: listen, Patience: 2 * r.idle})
		if err != nil {
			return err
		}
		r.servers = append(r.servers, server)
	}
	var err error
	if r.fleet, err = r.start(ctx, r.processes); err != nil {
		return err
	}
	if r.visitors, err = r.start(ctx, 1); err != nil {
		return err
	}
	return r.open()
}

// configure gives the load balancer all services, and notes how it is attached.
func (r *run) configure(ctx context.Context) error {
	var services []api.Service
	for _, s := range append(r.changed(), r.other, r.sink) {
		r.env.Log.Debug("service", "is", s.String())
		services = append(services, wire.NamedService(s.name, s.Service))
	}
	if err := r.stage.Apply(ctx, services...); err != nil {
		return err
	}
	attached, err := r.stage.Control().Interfaces(ctx)
	if err != nil {
		return fmt.Errorf("ask how the load balancer is attached: %w", err)
	}
	for _, a := range attached.Interfaces {
		r.xdp = a.Mode // all in the mode that Apply asked for
	}
	return nil
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
		o.Open = append(o.Open, hold.Wish{VIP: s.VIP.Address, Count: r.wanted(s)})
	}
	ordered := time.Now()
	report, err := r.fleet.order(o)
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
