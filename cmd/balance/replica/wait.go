package replica

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

// traffic is what is sent to the replica.
type traffic struct {
	// packets is how many have been sent, of which lately since the poll before.
	packets, lately uint64
	// polls is how often that was asked.
	polls int
}

// note takes the next answer of a daemon that counts packets.
func (t *traffic) note(packets uint64) {
	if t.polls > 0 {
		t.lately = packets - min(packets, t.packets)
	}
	t.packets = packets
	t.polls++
}

// String is how many packets came lately, "" where that is not known yet.
func (t *traffic) String() string {
	if t.polls < 2 {
		return ""
	}
	return fmt.Sprintf("; %s to it in the last second", cli.Many(int(t.lately), "packet"))
}

// ask notes how many packets have been sent to the replica.
func (d *drain) ask(ctx context.Context) error {
	all, err := d.client.Traffic(ctx, d.service)
	if err != nil {
		return err
	}
	for _, r := range all.Replicas {
		if r.Address == d.address {
			d.traffic.note(r.Packets)
		}
	}
	return nil
}

// wait returns the replica when it is safe to remove. It prints on stderr what is left whenever that changes or
// packets begin or cease to come, and waits for a daemon that restarts.
func (d *drain) wait(ctx context.Context) (api.ReplicaStatus, error) {
	said, away := "", 0
	for {
		r, err := d.poll(ctx)
		what := leftText(r.FlowCounts)
		now := what + d.traffic.String()
		if d.traffic.lately > 0 {
			what += ", packets come"
		}
		switch {
		case errors.Is(err, client.ErrUnreachable) && away < restartPolls:
			away++
			now = "the daemon does not answer: waiting for it"
			what, d.traffic = now, traffic{}
		case err != nil || r.SafeToRemove:
			return r, err
		default:
			away = 0
		}
		if what != said {
			fmt.Fprintf(d.app.Stderr, "lbctl: %s\n", now)
			said = what
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
	if err := d.interrupted(r); err != nil {
		return r, err
	}
	return r, d.ask(ctx)
}

// interrupted says why a replica no longer drains; nil if it does.
func (d *drain) interrupted(r api.ReplicaStatus) error {
	switch r.State {
	case lb.Draining.String():
		return nil
	case lb.Down.String():
		return &cli.Failure{Code: cli.ExitFailed,
			What: fmt.Sprintf("%s of %s is down: the deadline came with %s%v", d.address, d.service, leftText(r.FlowCounts), &d.traffic),
			Do:   fmt.Sprintf("remove it (lbctl replica remove %s %s), or let it drain on: lbctl drain %s %s", d.service, d.address, d.service, d.address)}
	}
	err := fmt.Errorf("drain %s of %s: %w: somebody has made it %s", d.address, d.service, lb.ErrConflict, r.State)
	return cli.Advise(err, "drain it again, or ask who did")
}
