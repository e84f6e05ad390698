package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"lbctl/control/reconcile"
	"lbctl/control/store"
	"lbctl/lb"
)

// intentTable is the Table of what is not forwarded as the intent says. Others are the datapath's.
const intentTable = "intent"

// Verify compares what is forwarded with the effective intent, and what is in the kernel with what the datapath has put there. If
// it repairs, it makes both as they should be.
func (e *Engine) Verify(ctx context.Context, repair bool) (*Snapshot, lb.Verification, error) {
	found, err := e.verifyIntent(ctx, repair)
	if err != nil {
		return nil, found, err
	}
	kernel, err := e.dp.Verify(ctx, repair)
	found.Join(kernel)
	return e.now.Load(), found, err
}

func (e *Engine) verifyIntent(ctx context.Context, repair bool) (found lb.Verification, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before, missing, err := e.missing()
	if err != nil {
		return found, err
	}
	var left []reconcile.Step
	if repair && len(missing) > 0 {
		e.doubt()
		if _, err := e.install(ctx, []store.Revision{{Intent: e.now.Load().Intent}}, mayBeMissing); err != nil {
			e.log.Error("repair what is not forwarded as intended", "error", err)
		}
		if _, left, err = e.missing(); err != nil {
			return found, err
		}
	}
	for _, s := range missing {
		d := lb.Drift{Table: intentTable, Key: s.Target()}
		d.Want, d.Have = difference(before, s)
		d.Repaired = repair && !slices.ContainsFunc(left, func(l reconcile.Step) bool { return l.Verb == s.Verb && l.Target() == s.Target() })
		found.Add(d)
	}
	return found, nil
}

// doubt has the next change ask the datapath what it forwards.
func (e *Engine) doubt() {
	now := *e.now.Load()
	now.forwarded = false
	e.now.Store(&now)
}

// missing returns what is forwarded, and the steps that would bring it to the effective intent with all its interfaces.
func (e *Engine) missing() (reconcile.State, []reconcile.Step, error) {
	now := e.now.Load()
	current, err := reconcile.Current(e.dp)
	if err != nil {
		return current, nil, err
	}
	return current, reconcile.Plan(current, stateOf(Effective(now.Intent, e.facts(nil, now.health))), now.Intent.Datapath.Limits), nil
}

// difference says what a step would change.
func difference(current reconcile.State, s reconcile.Step) (want, have string) {
	const forwarded, attached = "forwarded as intended", "attached"
	switch s.Verb {
	case reconcile.Attach:
		return attached, "not " + attached
	case reconcile.Detach:
		return "not " + attached, attached
	case reconcile.Remove:
		return "not forwarded", "forwarded"
	}
	n := slices.IndexFunc(current.Services, func(of *lb.Service) bool { return of.VIP == s.Service.VIP })
	if n < 0 {
		return forwarded, "not forwarded"
	}
	var differ []string
	for _, d := range reconcile.Differences(*current.Services[n], s.Service) {
		differ = append(differ, fmt.Sprintf("%s %s", d.Field, d.Before))
	}
	return forwarded, strings.Join(differ, ", ")
}
