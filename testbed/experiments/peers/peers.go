// Package peers measures the same work through the load balancer and through others: nftables,
// HAProxy and nginx, beside requests that go straight to the replicas. The peers take turns in every round,
// so that what else the machine does hits all alike.
package peers

import (
	"context"
	"errors"
	"flag"
	"runtime"

	"lbctl/testbed/bench/load"
	"lbctl/testbed/bench/wires"
	"lbctl/testbed/experiment"
)

// trial implements experiment.Trial.
type trial struct {
	parameters                                  *experiment.Parameters
	requests, concurrency, rounds, replicaCount int
	peers, works                                string
	noInstall                                   bool
}

// New returns a trial with the default parameters.
func New() experiment.Trial {
	t := &trial{}
	t.parameters = experiment.NewParameters(func(f *flag.FlagSet) {
		f.IntVar(&t.requests, "requests", 3_000, "the number of requests of each peer in each round, where each has a connection of its own; in proportion elsewhere")
		f.IntVar(&t.concurrency, "concurrency", 16, "how many requests are under way at a time")
		f.IntVar(&t.rounds, "rounds", 15, "the number of rounds, of which the median is taken")
		f.IntVar(&t.replicaCount, "replicas", 4, "the number of replicas")
		f.StringVar(&t.peers, "peers", defaultPeers, "which to measure; forward and lbctl-generic are others")
		f.StringVar(&t.works, "works", defaultWorks(), "at which work")
		f.BoolVar(&t.noInstall, "no-install", false, "do not install what is missing")
	})
	return t
}

// Parameters implements experiment.Trial.
func (t *trial) Parameters() *experiment.Parameters { return t.parameters }

// Run implements experiment.Trial.
func (t *trial) Run(ctx context.Context, env experiment.Env) (out experiment.Outcome, err error) {
	b := &bench{trial: t, env: env, threads: runtime.NumCPU()}
	chosen, err := t.validate(b)
	if err != nil {
		return out, err
	}
	if b.programs, err = t.programs(ctx, chosen); err != nil {
		return out, err
	}
	if b.bed, err = wires.New(env.Program, env.Log); err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, b.bed.Close()) }()
	b.folder = b.bed.Path("")
	for i, p := range chosen {
		b.paths = append(b.paths, &path{peer: p, number: i, replicas: t.replicaCount})
	}
	env.Progress.Begin(len(b.works) * len(b.paths) * (1 + t.rounds))
	defer env.Progress.End()
	for _, step := range []func(context.Context) error{b.hosts, b.up, b.run} {
		if err := step(ctx); err != nil {
			return out, err
		}
	}
	return b.outcome()
}

// run measures all works, the peers in turns: each round begins with another one.
func (b *bench) run(ctx context.Context) error {
	for _, w := range b.works {
		requests := w.Requests(b.requests)
		for round := -1; round < b.rounds; round++ {
			n := requests
			if round < 0 { // warm up
				n = max(requests/10, 1)
			}
			if err := b.round(ctx, w, round, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// gives tells whether a peer is measured at some work: the control at the first alone.
func (b *bench) gives(p *path, w load.Work) bool {
	return p.refuses(w) == "" && (p.role != control || w.Name == b.works[0].Name)
}

func (b *bench) round(ctx context.Context, w load.Work, round, requests int) error {
	for i := range b.paths {
		p := b.paths[(i+max(round, 0))%len(b.paths)]
		b.done++
		b.env.Progress.At(b.done)
		if p.broken != "" || !b.gives(p, w) {
			continue
		}
		b.env.Progress.Step(w.Name + ": " + p.name)
		m, err := b.measure(ctx, w, p, round, requests)
		if err != nil {
			return err
		}
		if round >= 0 {
			b.measured = append(b.measured, m)
		}
	}
	return nil
}
