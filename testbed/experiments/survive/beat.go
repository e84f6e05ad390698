package survive

import (
	"context"
	"time"

	"lbctl/lb"
)

// look asks all connections while no service of theirs is being changed.
func (r *run) look(context.Context) error {
	found, err := r.inspect()
	r.findings.still = r.findings.still.plus(found)
	return err
}

// inspect asks all connections and says what was found of those whose flows are remembered.
func (r *run) inspect() (found finding, err error) {
	var parts []*part
	for _, s := range r.services {
		parts = append(parts, r.newPart(s))
	}
	err = r.round(parts)
	for _, p := range parts {
		found = found.plus(p.found)
	}
	return found, err
}

// beat asks all connections when they have been silent for a step of their idle time: one that is
// silent longer than that time is forgotten.
func (r *run) beat(ctx context.Context) error {
	if time.Since(r.asked) < r.idle/lb.IdleSteps {
		return nil
	}
	return r.look(ctx)
}

// playRest waits until nothing has changed, and the daemon has counted time, for longer than the idle time, so that what the
// load balancer remembers of flows that are no more is forgotten, and marks that nothing needs are taken away.
func (r *run) playRest(ctx context.Context) error {
	if !r.rest {
		return nil
	}
	rested := r.disturbed.Add(r.idle + 2*r.idle/lb.IdleSteps)
	return r.await(ctx, time.Until(rested), func() (bool, error) { return false, r.beat(ctx) })
}

// raiseAll sets replicas up that are down: their connections must not be silent for too long.
func (r *run) raiseAll(ctx context.Context) error {
	for _, s := range r.changed() {
		if len(s.down()) == 0 {
			continue
		}
		if c, ok := r.planner.plan(s, []kind{raise}, nil); ok {
			if err := r.change(ctx, s, c, time.Time{}); err != nil {
				return err
			}
			s.set(c.after)
		}
	}
	return nil
}
