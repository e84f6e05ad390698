package peers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lbctl/control/api"
	"lbctl/testbed/experiment"
	"lbctl/testbed/helper"
	"lbctl/testbed/load"
	"lbctl/testbed/measure"
	"lbctl/testbed/netns"
)

// bench implements experiment.Design: clients, replicas, and a path for each peer.
type bench struct {
	parameters
	run      *experiment.Run
	programs map[string]string
	// threads is how many a proxy may have.
	threads int

	clients  *netns.Namespace
	replicas []*netns.Namespace
	client   *helper.Process
	paths    []*path
	// absent are load balancers that are never measured.
	absent []absent
	// measured is by the name of the work.
	measured map[string]*measure.Rounds[measurement]
}

// tunePorts makes many short connections possible: all ports can be used, and those of ended connections again soon.
func tunePorts(n *netns.Namespace) error {
	return errors.Join(
		n.Sysctl("net/ipv4/ip_local_port_range", "1024 65535"),
		n.Sysctl("net/ipv4/tcp_tw_reuse", "1"),
	)
}

// startHosts makes and starts clients and replicas.
func (b *bench) startHosts() (err error) {
	if b.clients, err = b.run.Bed.Router("clients"); err != nil {
		return err
	}
	var started []*helper.Process
	for i := range b.replicaCount {
		n, err := b.run.Bed.Router(toReplica(i))
		if err != nil {
			return err
		}
		b.replicas = append(b.replicas, n)
		p, err := load.Server().Start(b.run.Program, n, toReplica(i), load.Works())
		if err != nil {
			return err
		}
		b.run.Bed.OnClose(p.Stop)
		started = append(started, p)
	}
	if b.client, err = load.Client().Start(b.run.Program, b.clients, "clients", struct{}{}); err != nil {
		return err
	}
	b.run.Bed.OnClose(b.client.Stop)
	all := []error{tunePorts(b.clients)}
	for _, p := range append(started, b.client) {
		all = append(all, p.Await(helper.Ready))
	}
	return errors.Join(all...)
}

// startPaths makes the paths and starts the peers. One that the kernel cannot have is left out. A rival that does not start is
// not measured, and the report says why.
func (b *bench) startPaths(ctx context.Context) error {
	for _, p := range b.paths {
		if p.absent != "" {
			continue
		}
		b.run.Step("start " + p.name)
		err := b.wire(p)
		if err == nil && p.start != nil {
			if err = tunePorts(p.balancer); err == nil {
				err = p.start(ctx, b, p)
			}
		}
		if err == nil {
			err = b.reachable(ctx, p)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && p.role != rival {
			return fmt.Errorf("start %s: %w", p.name, err)
		}
		if err != nil {
			p.broken = err.Error()
			b.run.Log.Warn("a peer is not measured", "peer", p.name, "why", err)
		}
	}
	return nil
}

// startedWithin is how long a balancer may take to answer the first request.
const startedWithin = 10 * time.Second

// reachable sends requests until a peer does each work.
func (b *bench) reachable(ctx context.Context, p *path) error {
	for _, w := range b.works {
		if !b.gives(p, w) {
			continue
		}
		err := helper.Until(ctx, startedWithin, w.Name, func() error {
			r, err := helper.Ask[load.Result](ctx, b.client, load.Job{Work: w, Targets: p.targets(), Requests: 1, Concurrency: 1, Timeout: time.Second})
			if err == nil && r.Errors > 0 {
				err = errors.New(r.Error)
			}
			return err
		}, p.over)
		if err != nil {
			return err
		}
	}
	return nil
}

// over returns an error if the peer's process has ended.
func (p *path) over() error {
	if p.process == nil {
		return nil
	}
	return p.process.Over()
}

// startProduct starts the load balancer of this program.
func startProduct(ctx context.Context, b *bench, p *path) error {
	product, err := b.run.Bed.Serve(ctx, p.balancer, p.name, api.Config{Services: []api.Service{}})
	if err != nil {
		return err
	}
	p.pid = product.PID()
	return product.Apply(ctx, p.mode.String(), p.interfaces(), b.services(p)...)
}

// services returns a service for each work.
func (b *bench) services(p *path) []api.Service {
	var list []api.Service
	for _, w := range b.works {
		s := api.Service{Name: w.Name, VIP: at(p.vip(), w).String(), Protocol: w.Protocol.String()}
		for i := range b.replicas {
			s.Replicas = append(s.Replicas, api.Replica{Address: at(p.replica(i), w).String()})
		}
		list = append(list, s)
	}
	return list
}

// route starts nothing: the kernel of the balancer's namespace forwards.
func route(context.Context, *bench, *path) error { return nil }
