package main

import (
	"context"
	"fmt"
	"time"

	"lbctl/control/api"
	"lbctl/lb"
)

// pollEvery is the time between two looks at a replica that drains.
const pollEvery = time.Second

// wait returns the replica when it is safe to remove. What is left is said on stderr whenever
// that changes.
func (d *drain) wait(ctx context.Context) (api.ReplicaStatus, error) {
	said := ""
	for {
		all, err := d.client.Replicas(ctx, d.service)
		if err != nil {
			return api.ReplicaStatus{}, err
		}
		r, err := d.find(all)
		if err != nil || r.SafeToRemove {
			return r, err
		}
		if err := d.interrupted(r); err != nil {
			return r, err
		}
		if left := leftText(r.Flows); left != said {
			fmt.Fprintf(d.app.stderr, "lbctl: %s\n", left)
			said = left
		}
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-d.app.clock.After(pollEvery):
		}
	}
}

// interrupted says why a replica drains no longer, nil when it does.
func (d *drain) interrupted(r api.ReplicaStatus) error {
	switch r.State {
	case lb.Draining.String():
		return nil
	case lb.Down.String():
		return &failure{code: exitFailed,
			what: fmt.Sprintf("%s of %s is down: the deadline came with %s", d.address, d.service, leftText(r.Flows)),
			hint: fmt.Sprintf("remove it (lbctl replica remove %s %s), or let it drain on: lbctl drain %s %s", d.service, d.address, d.service, d.address)}
	}
	err := fmt.Errorf("drain %s of %s: %w: somebody has made it %s", d.address, d.service, lb.ErrConflict, r.State)
	return advise(err, "drain it again, or ask who did")
}
