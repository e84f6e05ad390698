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
	// pollEvery is the time between two requests for the state of the replica.
	pollEvery = time.Second
	// restartPolls is the number of requests in a row that a daemon may leave unanswered while it restarts.
	restartPolls = 60
)

// wait returns the replica when it is safe to remove. It prints on stderr what is left whenever that changes, and waits
// for a daemon that restarts.
func (d *drain) wait(ctx context.Context) (api.ReplicaStatus, error) {
	said, away := "", 0
	for {
		r, err := d.poll(ctx)
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

// poll returns the replica. If it no longer drains, the error says why.
func (d *drain) poll(ctx context.Context) (api.ReplicaStatus, error) {
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

// interrupted says why a replica no longer drains; nil if it does.
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
