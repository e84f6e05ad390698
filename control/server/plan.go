package server

import (
	"lbctl/control/api"
	"lbctl/control/reconcile"
)

// planned are steps that were not done and what they would do to flows.
type planned struct {
	steps   []reconcile.Step
	effects []*reconcile.Effect
}

// plan returns what change would do.
func (k *keeper) plan(e edit) (planned, error) {
	next, err := k.next(e)
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
	steps := reconcile.Plan(current, next.State(), next.Datapath.Limits)
	return planned{steps, reconcile.Effects(current, steps, flows)}, nil
}

func (p planned) wire() []api.Step {
	wire := wireSteps(p.steps)
	for n, e := range p.effects {
		if e != nil {
			wire[n].Effect = wireEffect(*e)
		}
	}
	return wire
}

func wireEffect(e reconcile.Effect) *api.Effect {
	wire := &api.Effect{
		Changes: make([]api.FieldChange, 0, len(e.Differences)),
		Moved:   e.Moved, Parts: e.Parts, Share: float64(e.Moved) / float64(e.Parts),
		FlowsEnded: e.Ended, AtLeast: e.AtLeast,
	}
	for _, d := range e.Differences {
		wire.Changes = append(wire.Changes, api.FieldChange{Field: d.Field, Before: d.Before, After: d.After})
	}
	return wire
}
