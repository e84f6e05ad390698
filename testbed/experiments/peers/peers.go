// Package peers measures the same work through the load balancer and through others: nftables,
// HAProxy and nginx, beside requests that go straight to the replicas. The peers take turns in every round,
// so that whatever else the machine does affects all alike.
package peers

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"lbctl/testbed/experiment"
	"lbctl/testbed/load"
	"lbctl/testbed/measure"
)

// Experiment is the benchmark's entry.
func Experiment() experiment.Experiment {
	return experiment.Experiment{
		Name: "bench peers", Problem: "speed",
		Question: "How fast is the load balancer beside nftables, HAProxy and nginx, and what does a request cost?",
		Claim:    "HTTP through the load balancer reaches 95 % of direct requests, and is ahead of all others.",
		Method:   "The same clients send the same requests to the same replicas over a path for each peer, in turns.",
		Needs:    experiment.Needs{Packages: []string{"nftables", "haproxy", "nginx-light", "libnginx-mod-stream"}, Time: 4 * time.Minute},
		Rig:      "veth",
		Checks: []experiment.Statement{
			{Name: "every-peer", Text: "every peer could be measured"},
			{Name: "every-replica", Text: "every peer brings requests to every replica"},
			{Name: "untracked", Text: "a stateless peer leaves nothing in connection tracking"},
			{Name: "no-errors", Text: "every request is answered with the right bytes"},
		},
		Design: func() experiment.Design { return &bench{} },
	}
}

// parameters are what one can set.
type parameters struct {
	requests, concurrency, rounds, replicaCount int
	chosen                                      []peer
	works                                       []load.Work
	noInstall                                   bool
}

// maxReplicas is how many the addresses have room for.
const maxReplicas = 32

// Parameters implements experiment.Design.
func (p *parameters) Parameters(f *experiment.Parameters) {
	type ints = experiment.Ints
	f.Int(&p.requests, "requests", ints{Low: 1, High: 10_000_000, Default: 2000, Quick: 300, Full: 10_000}, "requests per peer and round in the work connections; the numbers of the other works are in proportion")
	f.Int(&p.concurrency, "concurrency", ints{Low: 1, High: 1000, Default: 16}, "how many requests are under way at a time")
	f.Int(&p.rounds, "rounds", ints{Low: 1, High: 1000, Default: 30, Quick: measure.RoundsFor(falseAlarm)}, "the least number of rounds; results are medians over rounds")
	f.Int(&p.replicaCount, "replicas", ints{Low: 1, High: maxReplicas, Default: 4}, "the number of replicas")
	experiment.Value(f, &p.chosen, "peers", usual, "the peers to measure; usual are all but forward and lbctl-generic", choose)
	experiment.Value(f, &p.works, "works", defaultWorks(), "the kinds of work to measure", chooseWorks)
	f.Bool(&p.noInstall, "no-install", false, "do not install what is missing")
}

// defaultWorks names all works.
func defaultWorks() string {
	var names []string
	for _, w := range load.Works() {
		names = append(names, w.Name)
	}
	return strings.Join(names, ",")
}

// chooseWorks returns the works of a comma-separated list, each once.
func chooseWorks(list string) (chosen []load.Work, err error) {
	named := func(name string) func(load.Work) bool { return func(w load.Work) bool { return w.Name == name } }
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		i := slices.IndexFunc(load.Works(), named(name))
		if i < 0 {
			return nil, fmt.Errorf("%q is not known: want some of %s", name, defaultWorks())
		}
		if !slices.ContainsFunc(chosen, named(name)) {
			chosen = append(chosen, load.Works()[i])
		}
	}
	return chosen, nil
}

// Arms implements experiment.Design: it starts hosts and peers. An arm is all rounds of one work; a step is one
// turn of a peer.
func (b *bench) Arms(ctx context.Context, r *experiment.Run) (arms []experiment.Arm, err error) {
	b.run, b.threads, b.measured = r, runtime.NumCPU(), map[string]*measure.Rounds[measurement]{}
	if b.programs, err = b.parameters.programs(ctx); err != nil {
		return nil, err
	}
	for i, p := range b.chosen {
		b.paths = append(b.paths, &path{peer: p, number: i, replicas: b.replicaCount})
	}
	if err := b.askKernel(); err != nil {
		return nil, err
	}
	if err := b.startHosts(); err != nil {
		return nil, err
	}
	if err := b.startPaths(ctx); err != nil {
		return nil, err
	}
	for _, w := range b.works {
		arms = append(arms, experiment.Arm{
			Name: w.Name, Steps: b.turns(w), Run: func(ctx context.Context) error { return b.measureWork(ctx, w) },
		})
	}
	return arms, nil
}

// turns is how many turns of peers there are at some work, the warm-up included.
func (b *bench) turns(w load.Work) int {
	n := 0
	for _, p := range b.paths {
		n += experiment.One(b.gives(p, w))
	}
	return n * (1 + b.rounds)
}

// measureWork measures one work, the peers in turns.
func (b *bench) measureWork(ctx context.Context, w load.Work) (err error) {
	var arms []measure.Arm[measurement]
	for _, p := range b.paths {
		if !b.gives(p, w) {
			continue
		}
		arms = append(arms, measure.Arm[measurement]{Name: p.name, Run: func(ctx context.Context, t measure.Turn) (measurement, error) {
			requests := w.Requests(b.requests)
			if t.Warmup() {
				requests = max(requests/10, 1)
			}
			return b.measure(ctx, w, p, requests)
		}})
	}
	done := 0
	b.measured[w.Name], err = measure.Run(ctx, measure.Plan{
		Seed: b.run.Seed, Rounds: b.rounds, Warmup: 1,
		Progress: func(t measure.Turn) {
			b.run.Step(w.Name + ": " + t.Arm)
			b.run.At(min(done, b.turns(w)))
			done++
		},
	}, arms...)
	if err != nil {
		return err
	}
	return b.countTracked()
}

// gives tells whether a peer is measured at some work: the control at the first alone.
func (b *bench) gives(p *path, w load.Work) bool {
	return p.broken == "" && p.absent == "" && p.refuses(w) == "" && (p.role != control || w.Name == b.works[0].Name)
}

// Conclude implements experiment.Design.
func (b *bench) Conclude(r *experiment.Run) error {
	checks, controls := b.checks()
	r.Check(checks...)
	r.Control(controls...)
	for _, w := range b.works {
		r.Table(b.table(w))
		figure, err := b.figure(w)
		if err != nil {
			return err
		}
		r.Figure(figure)
	}
	if t := b.unmeasured(); len(t.Rows) > 0 {
		r.Table(t)
	}
	r.Table(b.peerTable())
	var noise []measure.Noise
	for _, w := range b.works {
		noise = append(noise, b.measured[w.Name].Noise()...)
	}
	r.Noise = measure.Describe(noise)
	return nil
}
