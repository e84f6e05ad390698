// Package live measures packets per second through the load balancer with live frames: a program in
// the kernel puts whole frames into a veth, the balancer forwards them into another, and a
// program at its end counts them. In the same run, in turns, the smallest program that can do so is measured
// beside it: a bare redirect, which looks at nothing.
//
// All of it happens on one core, in one chain of softirqs: the figure is the rate of the chain of
// generator, balancer and sink, and the ratio is to the same chain with the bare program.
package live

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lbctl/control/api"
	"lbctl/lb"
	"lbctl/testbed/bed"
	"lbctl/testbed/experiment"
	"lbctl/testbed/measure"
)

// Target and TargetV6 are the least that the load balancer must reach of the bare redirect's packets a second. IPv6 has no header checksum
// to update, but four times the address.
const (
	Target   = 0.8
	TargetV6 = 0.75
)

// falseAlarm is the rate of each of the six verdicts on quantities with noise: three checks, three controls.
const falseAlarm = measure.FalseAlarm / 6

// slowness is how many times the control reads the kernel's clock for each frame, some 20 ns each.
const slowness = 12

// The arms that are compared in each round.
const (
	bareArm   = "bare"
	lbctlArm  = "lbctl"
	slowedArm = "slowed"
)

// Experiment is the benchmark's entry.
func Experiment() experiment.Experiment {
	return experiment.Experiment{
		Name: "bench live", Problem: "speed",
		Question: "How many packets a second go through the load balancer on one core, beside a bare redirect?",
		Claim:    "The load balancer reaches four fifths of a program that only redirects, with IPv6 three quarters.",
		Method:   "A program in the kernel sends live frames into a veth; the balancer and a bare redirect forward them in turns; a program at the other end counts them.",
		Needs:    experiment.Needs{Time: 18 * time.Second},
		Rig:      "veth, live frames",
		Checks: []experiment.Statement{
			{Name: "tcp-v4-hit-of-bare", Text: "one flow reaches its share of the bare rate"},
			{Name: "tcp-v4-diverse-of-bare", Text: "65,536 flows reach their share of the bare rate"},
			{Name: "tcp-v6-hit-of-bare", Text: "one flow of IPv6 reaches its share of the bare rate"},
			{Name: "nothing-lost", Text: "every frame that was sent is counted at the end"},
			{Name: "counters-agree", Text: "the balancer counts every frame that was sent to it"},
		},
		Controls: []experiment.Statement{
			{Name: "tcp-v4-hit-slowed", Text: "a redirect that also reads the kernel's clock"},
			{Name: "tcp-v4-diverse-slowed", Text: "the same with 65,536 flows"},
			{Name: "tcp-v6-hit-slowed", Text: "the same with IPv6"},
		},
		Design: func() experiment.Design { return &design{} },
	}
}

// design implements experiment.Design.
type design struct {
	seconds             float64
	run                 *experiment.Run
	product             *bed.Product
	bare, lbctl, slowed *path
	results             []result
}

// Parameters implements experiment.Design.
func (d *design) Parameters(f *experiment.Parameters) {
	const day = 24 * 60 * 60
	f.Float(&d.seconds, "seconds", experiment.Floats{Low: 0.01, High: day, Default: 15, Quick: 1, Full: 60}, "how long to measure, over all scenarios, in seconds")
}

// Arms implements experiment.Design: it makes the three paths. An arm is a scenario; its steps are milliseconds.
func (d *design) Arms(ctx context.Context, r *experiment.Run) (arms []experiment.Arm, err error) {
	d.run = r
	for _, p := range []struct {
		into **path
		name string
	}{{&d.lbctl, lbctlArm}, {&d.bare, bareArm}, {&d.slowed, slowedArm}} {
		if *p.into, err = newPath(r.Bed, p.name); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(d.bare.redirect(r.Bed, 0), d.slowed.redirect(r.Bed, slowness)); err != nil {
		return nil, err
	}
	if d.product, err = r.Bed.Serve(ctx, d.lbctl.balancer, "lbctl", api.Config{Services: []api.Service{}}); err != nil {
		return nil, err
	}
	if err := d.product.Apply(ctx, lb.Native.String(), []string{"in", "out"}, services()...); err != nil {
		return nil, err
	}
	share := time.Duration(d.seconds / float64(len(scenarios())) * float64(time.Second))
	for _, s := range scenarios() {
		arms = append(arms, experiment.Arm{
			Name: s.name, Steps: int(share / time.Millisecond), Run: func(ctx context.Context) error { return d.measure(ctx, s, share) },
		})
	}
	return arms, nil
}

// result is what was measured of a scenario.
type result struct {
	scenario scenario
	rounds   *measure.Rounds[round]
	// forwarded is what the load balancer counted meanwhile.
	forwarded uint64
}

// measure measures a scenario in rounds, for a time.
func (d *design) measure(ctx context.Context, s scenario, limit time.Duration) error {
	g, err := newGenerator(s.frames())
	if err != nil {
		return err
	}
	defer g.Close()
	before, err := d.forwarded(ctx)
	if err != nil {
		return err
	}
	arm := func(p *path) measure.Arm[round] {
		return measure.Arm[round]{Name: p.name, Run: func(ctx context.Context, _ measure.Turn) (round, error) { return p.run(ctx, g) }}
	}
	slowed := arm(d.slowed)
	slowed.Most = measure.RoundsFor(falseAlarm) * 4 / 3 // some rounds may be noisy
	start := time.Now()
	rounds, err := measure.Run(ctx, measure.Plan{
		Seed: d.run.Seed, Rounds: measure.RoundsFor(falseAlarm), Budget: limit,
		Progress: func(measure.Turn) { d.run.At(int(min(time.Since(start), limit) / time.Millisecond)) },
	}, arm(d.bare), arm(d.lbctl), slowed)
	if err != nil {
		return err
	}
	after, err := d.forwarded(ctx)
	d.results = append(d.results, result{scenario: s, rounds: rounds, forwarded: after - before})
	return err
}

// forwarded asks the load balancer how many packets it sent to replicas.
func (d *design) forwarded(ctx context.Context) (uint64, error) {
	c, err := d.product.Control.Counters(ctx)
	if err != nil {
		return 0, fmt.Errorf("read counters: %w", err)
	}
	for _, n := range c.Reasons {
		if n.Reason == string(lb.Forwarded) {
			return n.Packets, nil
		}
	}
	return 0, nil
}
