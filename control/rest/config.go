package rest

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/reconcile"
	"lbctl/control/wire"
	"lbctl/lb"
)

type configInput struct {
	Conditional
	TakeBack
	Document[api.Config]
}

type putConfigInput struct {
	Conditional
	TakeBack
	Document[api.Config]
}

type patchConfigInput struct {
	Conditional
	Patch[api.Config]
}

func (s *Server) configRoutes(a huma.API) {
	register(a, "get-config", http.MethodGet, "/v1/config", "The whole intent, as a configuration file has it",
		func(_ context.Context, in *Cached) (*cachedAnswer[api.Config], error) {
			now := s.engine.Now()
			return cachedAt(in, now.Number, func() api.Config { return wire.Config(now.Intent) })
		})
	register(a, "put-config", http.MethodPut, "/v1/config", "Replace the whole intent",
		func(ctx context.Context, in *putConfigInput) (*answer[api.Change], error) {
			return s.replace(ctx, false, in.allows(always), engine.Change{Reason: "put config", Edit: in.from(replace(in.value))})
		})
	register(a, "patch-config", http.MethodPatch, "/v1/config", "Change some fields of the whole intent",
		func(ctx context.Context, in *patchConfigInput) (*answer[api.Change], error) {
			return s.change(ctx, in.allowsPatch(always), engine.Change{Reason: "patch config", Edit: func(old intent.Intent) (intent.Intent, error) {
				doc, err := in.patched(wire.Config(old))
				if err != nil {
					return old, err
				}
				return wire.Resolve(doc, old)
			}})
		})
	register(a, "plan-config", http.MethodPost, "/v1/plan", "What replacing the whole intent would do",
		func(ctx context.Context, in *configInput) (*answer[api.Change], error) {
			return s.replace(ctx, true, in.allows(always), engine.Change{Edit: in.from(replace(in.value))})
		})
}

// replace makes another configuration the intent, or says what that would do, and what was set by hand and is kept.
func (s *Server) replace(ctx context.Context, dry bool, match func(*engine.Snapshot) error, c engine.Change) (*answer[api.Change], error) {
	var before, after intent.Intent
	edit := c.Edit
	c.Edit = func(i intent.Intent) (next intent.Intent, err error) {
		before = i
		next, err = edit(i)
		after = next.Keeping(next.Overrides)
		return next, err
	}
	done, err := s.changeOrPlan(ctx, DryRun{dry}, match, c)
	if err == nil {
		done.Body.Overrides = wire.OverrideChanges(before, after, true)
	}
	return done, err
}

// plan answers with what a change would do.
func (s *Server) plan(c engine.Change) (*answer[api.Change], error) {
	now, plan, err := s.engine.Plan(c)
	if err != nil {
		return nil, err
	}
	return answerAt(now.Number, wireChange(now.Number, plan)), nil
}

// edit makes the next intent of the present one, or refuses.
type edit func(intent.Intent) (intent.Intent, error)

func replace(doc api.Config) edit {
	return func(old intent.Intent) (intent.Intent, error) { return wire.Resolve(doc, old) }
}

// always is for what always exists: the configuration.
func always(intent.Intent) bool { return true }

// change makes a change, if match allows it, and answers with what was done.
func (s *Server) change(ctx context.Context, match func(*engine.Snapshot) error, c engine.Change) (*answer[api.Change], error) {
	a := askedBy(ctx)
	if a != nil {
		c.Origin = a.who.From
	}
	c.Actor, c.Match = actorOf(ctx), match
	now, done, err := s.engine.Change(ctx, c)
	if err != nil {
		return nil, err
	}
	if a != nil {
		a.event = Changed(a.event, now, done)
	}
	change := wireChange(now.Number, done)
	if c.Attach != "" || slices.ContainsFunc(done.Steps, func(s reconcile.Step) bool { return s.Verb == reconcile.Attach }) {
		change.Warnings = s.warnings()
	}
	return answerAt(now.Number, change), nil
}

// wireChange describes a change or a plan. The revision is that of the intent after the change; of a plan, the present one.
func wireChange(revision uint64, p engine.Plan) api.Change {
	change := api.Change{Revision: revision, Steps: make([]api.Step, 0, len(p.Steps)), Intent: wire.Changes(p.Before, p.After),
		Overrides: wire.OverrideChanges(p.Before, p.After, false)}
	names := namesIn(p)
	for _, s := range p.Steps {
		change.Steps = append(change.Steps, wireStep(names, s))
	}
	for n, e := range p.Effects {
		if e != nil {
			change.Steps[n].Effect = wireEffect(*e)
		}
	}
	return change
}

// namesIn returns the names of the services that the steps of a plan are about.
func namesIn(p engine.Plan) map[lb.VIP]string {
	names := make(map[lb.VIP]string, len(p.Steps))
	for _, s := range p.Steps {
		names[s.Service.VIP] = ""
	}
	for _, s := range p.After.Services {
		if _, is := names[s.VIP]; is {
			names[s.VIP] = s.Name
		}
	}
	return names
}

// wireStep describes a step with the names of services.
func wireStep(names map[lb.VIP]string, s reconcile.Step) api.Step {
	step := api.Step{Verb: string(s.Verb), Why: string(s.Why)}
	switch s.Verb {
	case reconcile.Set, reconcile.Remove:
		at := wire.Endpoint(s.Service)
		step.VIP, step.EndPort, step.Protocol = at.VIP, at.EndPort, at.Protocol
	case reconcile.Attach, reconcile.Detach:
		step.Interface = s.Interface.Name
	}
	if s.Verb == reconcile.Set {
		service := wire.NamedService(names[s.Service.VIP], s.Service)
		step.Service = &service
	}
	if s.Verb == reconcile.Attach {
		step.Mode = s.Interface.Mode.String()
	}
	return step
}

func wireEffect(e reconcile.Effect) *api.Effect {
	effect := &api.Effect{
		Changes:    make([]api.FieldChange, 0, len(e.Differences)),
		MovedParts: e.Moved, Parts: e.Parts, Share: float64(e.Moved) / float64(e.Parts),
		FlowsEnded: e.Ended, AtLeast: e.AtLeast,
	}
	for _, d := range e.Differences {
		effect.Changes = append(effect.Changes, api.FieldChange{Field: d.Field, Before: d.Before, After: d.After})
	}
	return effect
}

// PlanOf returns what making a document the intent would do, without a datapath: of flows it says nothing. What was set by hand is
// kept, but for the services of takeBack; "*" is all.
func PlanOf(before intent.Intent, doc api.Config, takeBack ...string) (api.Change, error) {
	after, err := TakeBack{takeBack}.from(replace(doc))(before)
	if err != nil {
		return api.Change{}, err
	}
	after = after.Keeping(after.Overrides)
	state := func(i intent.Intent) reconcile.State {
		return reconcile.State{Services: i.Wanted().References(), Interfaces: i.Interfaces}
	}
	steps := reconcile.Plan(state(before), state(after), after.Datapath.Limits)
	effects := reconcile.Effects(state(before), steps, nil)
	for _, e := range effects {
		if e != nil {
			e.Ended, e.AtLeast = 0, false
		}
	}
	change := wireChange(0, engine.Plan{Before: before, After: after, Steps: steps, Effects: effects})
	change.Overrides = wire.OverrideChanges(before, after, true)
	return change, nil
}
