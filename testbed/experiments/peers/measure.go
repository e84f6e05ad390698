package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"lbctl/testbed/bench/load"
	"lbctl/testbed/measure"
)

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
	arrivals      arrivals
}

// measure lets the clients do some work by a peer, and counts to whom it came.
func (b *bench) measure(ctx context.Context, w load.Work, p *path, round, requests int) (m measurement, err error) {
	before, err := arrived(b.replicas, w.Protocol)
	if err != nil {
		return m, err
	}
	if m, err = b.timed(ctx, w, p, requests); err != nil {
		return m, err
	}
	m.work, m.peer, m.round = w.Name, p.name, round
	after, err := arrived(b.replicas, w.Protocol)
	if err != nil {
		return m, err
	}
	m.arrivals = after.since(before)
	return m, nil
}

// timed lets the clients do some work by a peer.
func (b *bench) timed(ctx context.Context, w load.Work, p *path, requests int) (m measurement, err error) {
	before, err := measure.Take()
	if err != nil {
		return m, err
	}
	if m.Result, err = b.do(ctx, load.Job{Work: w, Targets: p.targets(), Requests: requests, Concurrency: b.concurrency}); err != nil {
		return m, err
	}
	after, err := measure.Take()
	if err != nil {
		return m, err
	}
	self := os.Getpid()
	m.all = after.Below(self) - before.Below(self)
	m.others = max(float64(after.Busy(before)-m.all-(after.Of(self)-before.Of(self)))/float64(after.Capacity(before)), 0)
	if p.pid != 0 {
		m.balancer = after.Tree(p.pid) - before.Tree(p.pid)
	}
	return m, nil
}
