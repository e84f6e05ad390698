package survive

import (
	"context"
	"math/rand/v2"

	"lbctl/testbed/bed"
	"lbctl/testbed/experiment"
)

const (
	name    = "survive"
	problem = "10"
	rigName = "veth"
)

// Experiment is the entry of the lab's catalogue.
func Experiment() experiment.Experiment {
	return experiment.Experiment{
		Name: name, Problem: problem,
		Summary: "Does a connection stay with its replica while replicas come and go, under floods, and when the daemon dies?",
		Trial:   newTrial,
	}
}

// trial is one run with its parameters.
type trial struct {
	parameters
	flags *experiment.Parameters
}

func newTrial() experiment.Trial {
	t := &trial{}
	t.flags = experiment.NewParameters(t.define)
	return t
}

// Parameters implements experiment.Trial.
func (t *trial) Parameters() *experiment.Parameters { return t.flags }

// Run implements experiment.Trial.
func (t *trial) Run(ctx context.Context, env experiment.Env) (outcome experiment.Outcome, err error) {
	if err := t.validate(); err != nil {
		return outcome, err
	}
	config := bed.Config{
		Program: env.Program, Replicas: t.replicas + others + sinks, Clients: t.clients, Flows: uint32(t.flows), Log: env.Log,
	}
	err = bed.With(ctx, config, func(set *bed.Stage) error {
		r := &run{trial: t, env: env, stage: set, random: rand.New(rand.NewPCG(env.Seed, 1))}
		env.Progress.Begin(r.total())
		defer env.Progress.End()
		if err := r.play(ctx); err != nil {
			return err
		}
		outcome = r.outcome()
		return nil
	})
	return outcome, err
}
