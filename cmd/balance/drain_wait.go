package balance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lbctl/cmd/cli"
	"lbctl/control/api"
	"lbctl/control/client"
	"lbctl/lb"
)

const (
	// pollEvery is the time between two looks at a replica that drains.
	pollEvery = time.Second
	// restartPolls is how many looks in a row a daemon may be away: one that is replaced by another build comes back.
	restartPolls = 60
)

// wait returns the replica when it is safe to remove. What is left is said on stderr whenever
// that changes. A daemon that is started again meanwhile is waited for.
func (d *drain) wait(ctx context.Context) (api.ReplicaStatus, error) {
	said, away := "", 0
	for {
		r, err := d.look(ctx)
		now := leftText(r.FlowCounts)
		switch {
		case errors.Is(err, client.ErrUnreachable) && away < restartPolls:
			away++
			now = "the daemon does not answer: waiting for it"
		case err != nil || r.SafeToRemove:
			return r, err
		default:
			away = 0
		}
		if now != said {
			fmt.Fprintf(d.app.Stderr, "lbctl: %s\n", now)
			said = now
		}
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-d.app.Clock.After(pollEvery):
		}
	}
}

// look returns the replica, and says why it drains no longer.
func (d *drain) look(ctx context.Context) (api.ReplicaStatus, error) {
	all, err := d.client.Replicas(ctx, d.service)
	if err != nil {
		return api.ReplicaStatus{}, err
	}
	r, err := d.find(all)
	if err != nil || r.SafeToRemove {
		return r, err
	}
	return r, d.interrupted(r)
}

// interrupted says why a replica drains no longer, nil when it does.
func (d *drain) interrupted(r api.ReplicaStatus) error {
	switch r.State {
	case lb.Draining.String():
		return nil
	case lb.Down.String():
		return &cli.Failure{Code: cli.ExitFailed,
			What: fmt.Sprintf("%s of %s is down: the deadline came with %s", d.address, d.service, leftText(r.FlowCounts)),
			Do:   fmt.Sprintf("remove it (lbctl replica remove %s %s), or let it drain on: lbctl drain %s %s", d.service, d.address, d.service, d.address)}
	}
	err := fmt.Errorf("drain %s of %s: %w: somebody has made it %s", d.address, d.service, lb.ErrConflict, r.State)
	return cli.Advise(err, "drain it again, or ask who did")
}
