// Package live measures packets per second through the load balancer with live frames: a program in
// the kernel puts whole frames into a veth, the balancer sends them on into another, and a
// program at its end counts them. Beside it, in the same run and in turns, the least
// program that can do so: a bare redirect, which looks at nothing.
//
// All of it happens on one core, in one chain of softirqs: the figure is the rate of the chain of
// generator, balancer and sink, and the ratio is to the same chain with the bare program.
package live

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"lbctl/control/api"
	"lbctl/lb"
	"lbctl/testbed/bench/wires"
	"lbctl/testbed/experiment"
	"lbctl/testbed/product"
)

// Target is the least that the load balancer must reach of the bare redirect's packets a second, with IPv4.
// IPv6, which has no checksum to mend but four times the address, is measured for information.
const Target = 0.75

const (
	// least is the least number of pairs, controls the number of times that the control is measured.
	least, controls = 9, 5
	// maxSeconds is a day.
	maxSeconds = 24 * 60 * 60
	// askTime slows the control: some 20 ns each.
	askTime = 12
)

// trial implements experiment.Trial.
type trial struct {
	parameters *experiment.Parameters
	seconds    float64
}

// New returns a trial with the default parameters.
func New() experiment.Trial {
	t := &trial{}
	t.parameters = experiment.NewParameters(func(f *flag.FlagSet) {
		f.Float64Var(&t.seconds, "seconds", 15, "how long to measure, over all scenarios, in seconds")
	})
	return t
}

// Parameters implements experiment.Trial.
func (t *trial) Parameters() *experiment.Parameters { return t.parameters }

// Run implements experiment.Trial.
func (t *trial) Run(ctx context.Context, env experiment.Env) (out experiment.Outcome, err error) {
	if !(t.seconds > 0 && t.seconds <= maxSeconds) {
		return out, fmt.Errorf("%w seconds=%v: want more than 0, at most %d", experiment.ErrParameter, t.seconds, maxSeconds)
	}
	b, err := wires.New(env.Program, env.Log)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	r := &run{trial: t, env: env, bed: b}
	env.Progress.Begin(int(t.seconds * 1e3))
	defer env.Progress.End()
	if err := r.prepare(ctx); err != nil {
		return out, err
	}
	for _, s := range scenarios() {
		if err := r.scenario(ctx, s); err != nil {
			return out, err
		}
	}
	return r.outcome()
}

// run is a trial on its bed.
type run struct {
	*trial
	env                   experiment.Env
	bed                   *wires.Bed
	product               *product.Product
	lbctl, plain, control *path
	results               []result
	began                 time.Duration
}

// result is what was measured of a scenario.
type result struct {
	scenario scenario
	// lbctl, plain and control are rounds taken together: pair i is lbctl[i], plain[i].
	lbctl, plain, control []round
	// forwarded is what the load balancer counted meanwhile.
	forwarded uint64
}

// prepare makes the three paths.
func (r *run) prepare(ctx context.Context) (err error) {
	r.env.Progress.Step("prepare")
	for _, p := range []struct {
		into **path
		name string
	}{{&r.lbctl, "lbctl"}, {&r.plain, "bare"}, {&r.control, "slowed"}} {
		if *p.into, err = newPath(r.bed, p.name); err != nil {
			return err
		}
	}
	if err := errors.Join(r.plain.bare(r.bed, 0), r.control.bare(r.bed, askTime)); err != nil {
		return err
	}
	if r.product, err = r.bed.Serve(ctx, r.lbctl.balancer, "lbctl"); err != nil {
		return err
	}
	return r.product.Apply(ctx, lb.Native.String(), []string{"in", "out"}, services()...)
}

// scenario measures in pairs, the order of which alternates, until its share of the time is over.
func (r *run) scenario(ctx context.Context, s scenario) error {
	r.env.Progress.Step(s.name)
	g, err := newGenerator(s.frames())
	if err != nil {
		return err
	}
	defer g.Close()
	before, err := r.forwarded(ctx)
	if err != nil {
		return err
	}
	share := time.Duration(r.seconds / float64(len(scenarios())) * float64(time.Second))
	result := result{scenario: s}
	for start := time.Now(); time.Since(start) < share || len(result.lbctl) < least; {
		if err := r.turn(ctx, g, &result); err != nil {
			return err
		}
		r.env.Progress.At(int((r.began + min(time.Since(start), share)) / time.Millisecond))
	}
	r.began += share
	after, err := r.forwarded(ctx)
	result.forwarded = after - before
	r.results = append(r.results, result)
	return err
}

// turn measures a pair, and in the first turns the control.
func (r *run) turn(ctx context.Context, g *generator, to *result) error {
	type part struct {
		*path
		into *[]round
	}
	order := []part{{r.plain, &to.plain}, {r.lbctl, &to.lbctl}}
	if n := len(to.lbctl); n%2 == 1 {
		order[0], order[1] = order[1], order[0]
	}
	if len(to.control) < controls {
		order = append(order, part{r.control, &to.control})
	}
	for _, p := range order {
		m, err := p.run(ctx, g)
		if err != nil {
			return err
		}
		*p.into = append(*p.into, m)
	}
	return nil
}

// forwarded asks the load balancer how many packets it sent to replicas.
func (r *run) forwarded(ctx context.Context) (uint64, error) {
	c, err := r.product.Control.Counters(ctx)
	if err != nil {
		return 0, fmt.Errorf("read counters: %w", err)
	}
	return reason(c, lb.Forwarded), nil
}

func reason(c api.Counters, want lb.Reason) uint64 {
	for _, n := range c.Reasons {
		if n.Reason == string(want) {
			return n.Packets
		}
	}
	return 0
}
