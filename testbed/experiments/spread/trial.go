package spread

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"lbctl/lb"
	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/testbed/bed"
	"lbctl/testbed/experiment"
)

const (
	name    = "spread"
	problem = "5a, 10"
	rigName = "softnic"
)

// Experiment is the entry of the lab's catalogue.
func Experiment() experiment.Experiment {
	return experiment.Experiment{
		Name: name, Problem: problem,
		Summary: "Does every packet of a connection go to one queue, one core and one replica, and do requests for one object spread?",
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
	model, err := t.model(env.Seed)
	if err != nil {
		return outcome, err
	}
	config := bed.Config{
		Program: env.Program, Replicas: t.replicas, Clients: t.clients, MTU: t.mtu, NIC: model.NIC,
		ToeplitzKey: t.key.value.String(), Log: env.Log,
	}
	err = bed.With(ctx, config, func(set *bed.Stage) (err error) {
		run := &run{trial: t, env: env, stage: set, model: model, random: rand.New(rand.NewPCG(env.Seed, 1))}
		env.Progress.Begin(run.total())
		defer env.Progress.End()
		if err := run.play(ctx); err != nil {
			return err
		}
		outcome, err = run.outcome()
		return err
	})
	return outcome, err
}

// model returns the models of the NIC and of the service.
func (t *trial) model(seed uint64) (Model, error) {
	config, err := nic.Default(t.queues)
	if err != nil {
		return Model{}, err
	}
	config.Key = t.key.value
	if config.Table, err = rss.EqualTable(t.table, t.queues); err != nil {
		return Model{}, err
	}
	n, err := nic.New(config)
	if err != nil {
		return Model{}, err
	}
	service := lb.Service{
		VIP:       lb.VIP{Address: bed.VIP(), Protocol: packet.TCP},
		Scheduler: t.scheduler.value, Hash: t.hash.value, Tracking: lb.DefaultTracking(packet.TCP),
	}
	if service.Hash == lb.JHash { // Toeplitz has a key instead
		service.Seed = uint32(rand.New(rand.NewPCG(seed, 2)).Uint64())
	}
	for i := range t.replicas {
		service.Replicas = append(service.Replicas, lb.Replica{Address: bed.ReplicaAddress(i), Weight: 1})
	}
	service = service.WithDefaults()
	if err := service.Validate(); err != nil {
		return Model{}, fmt.Errorf("make service: %w", err)
	}
	return NewModel(n, service, config.Key), nil
}

// addresses returns those of the replicas.
func (m Model) addresses() []netip.AddrPort {
	var all []netip.AddrPort
	for _, r := range m.Service.Replicas {
		all = append(all, r.Address)
	}
	return all
}
