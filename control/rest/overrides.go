package rest

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/intent"
	"lbctl/control/wire"
	"lbctl/lb"
)

// DryRun is the part of the input of a mutation that can be tried.
type DryRun struct {
	DryRun bool `query:"dry_run" doc:"Answer what it would do, and change nothing."`
}

type putOverridesInput struct {
	Conditional
	DryRun
	Document[api.Overrides]
}

type deleteOverridesInput struct {
	Conditional
	DryRun
	Service string `query:"service" doc:"Only those of this service." example:"web"`
}

type overrideInput struct {
	Conditional
	DryRun
	ReplicaPath
}

type putOverrideInput struct {
	Conditional
	DryRun
	ReplicaPath
	Document[api.Override]
}

func (s *Server) overrideRoutes(a huma.API) {
	const all, one = "/v1/overrides", "/v1/services/{name}/replicas/{address}/override"
	register(a, "list-overrides", http.MethodGet, all, "What was set by hand, over what the configuration declares",
		func(_ context.Context, in *Cached) (*cachedAnswer[api.Overrides], error) {
			now := s.engine.Now()
			return cachedAt(in, now.Number, func() api.Overrides { return api.Overrides{Overrides: wire.Overrides(now.Intent)} })
		})
	register(a, "put-overrides", http.MethodPut, all, "Replace all that was set by hand, in one change",
		func(ctx context.Context, in *putOverridesInput) (*answer[api.Change], error) {
			return s.changeOrPlan(ctx, in.DryRun, in.allows(always), engine.Change{Reason: "put overrides", Edit: setAll(in.value.Overrides)})
		})
	register(a, "delete-overrides", http.MethodDelete, all, "Take back what was set by hand, all or that of a service",
		func(ctx context.Context, in *deleteOverridesInput) (*answer[api.Change], error) {
			return s.changeOrPlan(ctx, in.DryRun, in.allows(always), engine.Change{Reason: in.reason(), Edit: in.edit})
		})
	register(a, "get-override", http.MethodGet, one, "What was set by hand on a replica",
		func(_ context.Context, in *ReplicaPath) (*answer[api.Override], error) {
			now := s.engine.Now()
			b, err := in.byHand(now.Intent)
			return answerAt(now.Number, wire.Override(b.Override)), err
		})
	register(a, "put-override", http.MethodPut, one, "Set a replica by hand: its state, its weight, or both",
		func(ctx context.Context, in *putOverrideInput) (*answer[api.Change], error) {
			return s.changeOrPlan(ctx, in.DryRun, in.allows(in.isSet), engine.Change{Reason: in.reason("set by hand"), Edit: in.set})
		})
	register(a, "delete-override", http.MethodDelete, one, "Have a replica as the configuration declares it",
		func(ctx context.Context, in *overrideInput) (*answer[api.Change], error) {
			return s.changeOrPlan(ctx, in.DryRun, in.allows(in.isSet), engine.Change{Reason: in.reason("take back what was set by hand of"), Edit: in.takeBack})
		})
}

// changeOrPlan makes a change, or says what it would do.
func (s *Server) changeOrPlan(ctx context.Context, dry DryRun, match func(*engine.Snapshot) error, c engine.Change) (*answer[api.Change], error) {
	if dry.DryRun {
		c.Match = match
		return s.plan(c)
	}
	return s.change(ctx, match, c)
}

// target returns the replica that the path names. Errors: *intent.Error.
func (p ReplicaPath) target() (intent.Target, error) {
	r, err := wire.ResolveReplica(api.Replica{Address: p.Address})
	return intent.Target{Service: p.Name, Replica: r.Address}, inPath(err, "address")
}

// byHand returns what was set by hand on the replica. Errors: *intent.Error; lb.ErrNotFound.
func (p ReplicaPath) byHand(i intent.Intent) (intent.ByHand, error) {
	t, err := p.target()
	if err != nil {
		return intent.ByHand{}, err
	}
	all := i.ByHand()
	n := slices.IndexFunc(all, func(b intent.ByHand) bool { return b.Target == t })
	if n < 0 {
		return intent.ByHand{}, &notByHand{t}
	}
	return all[n], nil
}

func (p ReplicaPath) isSet(i intent.Intent) bool {
	address, err := netip.ParseAddrPort(p.Address)
	_, is := i.Overrides[intent.Target{Service: p.Name, Replica: address}]
	return err == nil && is
}

// notByHand: nothing was set by hand on a replica.
type notByHand struct{ of intent.Target }

func (e *notByHand) Error() string {
	return fmt.Sprintf("override of replica %v of service %q: %v", e.of.Replica, e.of.Service, lb.ErrNotFound)
}

// Hint says what to do.
func (e *notByHand) Hint() string { return "list what was set by hand: lbctl get overrides" }

// Unwrap makes it lb.ErrNotFound.
func (e *notByHand) Unwrap() error { return lb.ErrNotFound }

func (in *putOverrideInput) set(i intent.Intent) (intent.Intent, error) {
	t, err := in.target()
	if err != nil {
		return i, err
	}
	o, err := wire.ResolveOverride(in.value)
	if err != nil {
		return i, err
	}
	return i.WithOverride(t, o)
}

func (in *overrideInput) takeBack(i intent.Intent) (intent.Intent, error) {
	b, err := in.byHand(i)
	if err != nil {
		return i, err
	}
	return i.WithOverride(b.Target, intent.Override{})
}

// setAll sets the replicas of a list by hand, and no others.
func setAll(docs []api.ReplicaOverride) edit {
	return func(i intent.Intent) (intent.Intent, error) {
		all, err := wire.ResolveOverrides(docs)
		if err != nil {
			return i, err
		}
		return i.WithOverrides(all)
	}
}

func (in *deleteOverridesInput) reason() string {
	if in.Service == "" {
		return "take back what was set by hand"
	}
	return "take back what was set by hand in service " + in.Service
}

func (in *deleteOverridesInput) edit(i intent.Intent) (intent.Intent, error) {
	if in.Service != "" {
		if _, err := i.Service(in.Service); err != nil {
			return i, err
		}
	}
	i.Overrides = i.Overrides.Without(in.Service)
	return i, nil
}

// TakeBack is the part of the input of a request that makes another configuration the intent.
type TakeBack struct {
	TakeBack []string `query:"take_back" doc:"The services of which what was set by hand is taken back, by name; * for all. Default none." example:"web"`
}

// from returns the edit with what is to be taken back.
func (t TakeBack) from(e edit) edit {
	return func(old intent.Intent) (intent.Intent, error) {
		next, err := e(old)
		if err != nil {
			return next, err
		}
		for _, name := range t.TakeBack {
			if name == "*" {
				next.Overrides = nil
				continue
			}
			_, was := old.Service(name)
			if _, is := next.Service(name); was != nil && is != nil {
				var ps intent.Problems
				ps.Add("query.take_back", "want the name of a service, or * for all", "%q: there is no such service", name)
				return next, ps.Err()
			}
			if name != "" {
				next.Overrides = next.Overrides.Without(name)
			}
		}
		return next, nil
	}
}
