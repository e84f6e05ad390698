package rest

import (
	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/control/reconcile"
	"lbctl/control/wire"
	"lbctl/lb"
)

// planned is a change of the intent, done or not: its steps and, of one that is not done, what they would do to flows.
type planned struct {
	before, after intent.Intent
	steps         []reconcile.Step
	effects       []*reconcile.Effect
}

// plan returns what change would do.
func (k *keeper) plan(e edit) (planned, error) {
	before := k.now.Load().Intent
	next, err := k.next(before, e)
	if err != nil {
		return planned{}, err
	}
	current, err := reconcile.Current(k.dp)
	if err != nil {
		return planned{}, err
	}
	flows, err := k.dp.Flows()
	if err != nil {
		return planned{}, err
	}
	steps := reconcile.Plan(current, stateOf(next), next.Datapath.Limits)
	return planned{before, next, steps, reconcile.Effects(current, steps, flows)}, nil
}

// wire describes a change after which, or before which if it is not done, the intent is at a revision.
func (p planned) wire(revision uint64) api.Change {
	change := api.Change{Revision: revision, Steps: make([]api.Step, 0, len(p.steps)), Intent: wire.Changes(p.before, p.after)}
	names := p.after.Names()
	for _, s := range p.steps {
		change.Steps = append(change.Steps, wireStep(names, s))
	}
	for n, e := range p.effects {
		if e != nil {
			change.Steps[n].Effect = wireEffect(*e)
		}
	}
	return change
}

// wireStep describes a step with the names of services.
func wireStep(names map[lb.VIP]string, s reconcile.Step) api.Step {
	step := api.Step{Verb: string(s.Verb), Why: string(s.Why)}
	switch s.Verb {
	case reconcile.Set, reconcile.Remove:
		step.VIP, step.Protocol = s.Service.VIP.Address.String(), s.Service.VIP.Protocol.String()
	case reconcile.Attach, reconcile.Detach:
		step.Interface = s.Interface.Name
	}
	switch s.Verb {
	case reconcile.Set:
		service := wire.NamedService(names[s.Service.VIP], s.Service)
		step.Service = &service
	case reconcile.Attach:
		step.Mode = s.Interface.Mode.String()
	}
	return step
}

func wireEffect(e reconcile.Effect) *api.Effect {
	wire := &api.Effect{
		Changes:    make([]api.FieldChange, 0, len(e.Differences)),
		MovedParts: e.Moved, Parts: e.Parts, Share: float64(e.Moved) / float64(e.Parts),
		FlowsEnded: e.Ended, AtLeast: e.AtLeast,
	}
	for _, d := range e.Differences {
		wire.Changes = append(wire.Changes, api.FieldChange{Field: d.Field, Before: d.Before, After: d.After})
	}
	return wire
}
