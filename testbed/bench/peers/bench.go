package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"lbctl/testbed/bench/bed"
	"lbctl/testbed/bench/load"
	"lbctl/testbed/bench/process"
	"lbctl/testbed/bench/usage"
	"lbctl/testbed/lab/experiment"
	"lbctl/testbed/netns"
)

// bench is a trial on its bed: clients, replicas, and a path for each peer.
type bench struct {
	*trial
	env      experiment.Env
	bed      *bed.Bed
	works    []load.Work
	programs map[string]string
	// folder is where a proxy may write, threads how many it may have.
	folder     string
	threads    int
	accounting usage.Accounting

	clients  *netns.Namespace
	replicas []*netns.Namespace
	client   *process.Process
	paths    []*path
	measured []measurement
	done     int
}

// quicken makes many short connections possible: all ports, and those of ended ones again soon.
func quicken(n *netns.Namespace) error {
	return errors.Join(
		n.Sysctl("net/ipv4/ip_local_port_range", "1024 65535"),
		n.Sysctl("net/ipv4/tcp_tw_reuse", "1"),
	)
}

// hosts makes clients and replicas, and starts them.
func (b *bench) hosts(context.Context) (err error) {
	if b.clients, err = b.bed.Namespace("clients"); err != nil {
		return err
	}
	works, err := json.Marshal(load.Works())
	if err != nil {
		return fmt.Errorf("encode works: %w", err)
	}
	var servers []*process.Process
	for i := range b.replicaCount {
		n, err := b.bed.Namespace(toReplica(i))
		if err != nil {
			return err
		}
		b.replicas = append(b.replicas, n)
		p, err := process.Start(n, toReplica(i), b.bed.Program(), "bench", "server", string(works))
		if err != nil {
			return err
		}
		b.bed.OnClose(p.Stop)
		servers = append(servers, p)
	}
	if b.client, err = process.Start(b.clients, "clients", b.bed.Program(), "bench", "client", "{}"); err != nil {
		return err
	}
	b.bed.OnClose(b.client.Stop)
	all := []error{quicken(b.clients)}
	for _, p := range append(servers, b.client) {
		all = append(all, p.Await(load.Ready))
	}
	return errors.Join(all...)
}

// up makes the paths. A rival that does not start is not measured, and says why.
func (b *bench) up(ctx context.Context) error {
	for _, p := range b.paths {
		b.env.Progress.Step("start " + p.name)
		err := b.wire(p)
		if err == nil && p.start != nil {
			if err = quicken(p.balancer); err == nil {
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
			b.env.Log.Warn("a peer is not measured", "peer", p.name, "why", err)
		}
	}
	return nil
}

// startedWithin is how long a balancer may take to answer the first request.
const startedWithin = 10 * time.Second

// reachable asks until a peer does each work.
func (b *bench) reachable(ctx context.Context, p *path) error {
	for _, w := range b.works {
		if !p.measured(w) {
			continue
		}
		err := bed.Until(ctx, startedWithin, w.Name, func() error {
			r, err := b.do(ctx, load.Job{Work: w, Targets: p.targets(), Requests: 1, Concurrency: 1, Timeout: time.Second})
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

// over says why there is nothing more to wait for.
func (p *path) over() error {
	if p.process == nil {
		return nil
	}
	select {
	case <-p.process.Ended():
		return errors.Join(fmt.Errorf("%s has ended", p.name), p.process.Wait())
	default:
		return nil
	}
}

// do lets the clients do a job.
func (b *bench) do(ctx context.Context, j load.Job) (r load.Result, err error) {
	defer context.AfterFunc(ctx, b.client.Kill)()
	text, err := json.Marshal(j)
	if err != nil {
		return r, fmt.Errorf("encode job: %w", err)
	}
	if err := b.client.Tell(text); err != nil {
		return r, errors.Join(ctx.Err(), err)
	}
	line, err := b.client.Line()
	if err != nil {
		return r, errors.Join(ctx.Err(), err)
	}
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		return r, fmt.Errorf("read result %.80q: %w", line, err)
	}
	return r, nil
}

// measurement is one peer at one work in one round.
type measurement struct {
	work, peer string
	round      int
	load.Result
	// balancer is the CPU time of the process that balances; all is that of clients, replicas, balancer
	// and kernel; others is what other processes took, as a share of the machine.
	balancer, all time.Duration
	others        float64
}

// measure lets the clients do some work by a peer.
func (b *bench) measure(ctx context.Context, w load.Work, p *path, round, requests int) (m measurement, err error) {
	before, err := usage.Take()
	if err != nil {
		return m, err
	}
	m = measurement{work: w.Name, peer: p.name, round: round}
	if m.Result, err = b.do(ctx, load.Job{Work: w, Targets: p.targets(), Requests: requests, Concurrency: b.concurrency}); err != nil {
		return m, err
	}
	after, err := usage.Take()
	if err != nil {
		return m, err
	}
	self := os.Getpid()
	m.all = after.Below(self, b.accounting) - before.Below(self, b.accounting)
	m.others = max(float64(after.Busy(before)-m.all)/float64(after.Capacity(before)), 0)
	if p.pid != 0 {
		m.balancer = after.Tree(p.pid) - before.Tree(p.pid)
	}
	return m, nil
}
