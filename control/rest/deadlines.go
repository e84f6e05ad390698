package rest

import (
	"context"
	"time"

	"lbctl/control/intent"
	"lbctl/lb"
)

const (
	// recheck is the longest wait for a deadline: the clock may be set meanwhile.
	recheck = time.Second
	// retryAfter is the wait after a refusal of the datapath or the store.
	retryAfter = 10 * time.Second
)

// watchDeadlines sets draining replicas down when their deadlines come, until ctx ends.
// The deadlines are the intent's: those that passed while no daemon ran are met at the start.
func (k *keeper) watchDeadlines(ctx context.Context) {
	var refused error
	for ctx.Err() == nil {
		passed, stop := k.nextCheck(refused)
		select {
		case <-ctx.Done():
		case <-k.changed:
		case <-passed:
			refused = k.meetDeadlines(ctx)
		}
		stop()
	}
}

// nextCheck returns when to look at the deadlines again: never when there are none.
func (k *keeper) nextCheck(refused error) (<-chan time.Time, func()) {
	deadline, found := k.now.Load().Intent.NextDeadline(time.Time{})
	if !found {
		return nil, func() {}
	}
	wait := min(deadline.Sub(k.clock.Now()), recheck)
	if refused != nil {
		wait = max(wait, retryAfter)
	}
	return k.clock.After(wait)
}

// meetDeadlines makes the intent what it is now, if a deadline has come. With an error
// nothing has changed.
func (k *keeper) meetDeadlines(ctx context.Context) error {
	before := k.now.Load().Intent
	deadline, found := before.NextDeadline(time.Time{})
	if !found || deadline.After(k.clock.Now()) {
		return nil
	}
	record, _, err := k.change(ctx, "", func(i intent.Intent) (intent.Intent, error) { return i, nil })
	if err != nil {
		k.log.Error("set replicas down at their deadline", "error", err)
		return err
	}
	k.sayDown(before, record.Intent)
	return nil
}

// sayDown names the replicas that were draining until a time and are down.
func (k *keeper) sayDown(before, now intent.Intent) {
	for _, s := range before.Services {
		if len(s.Deadlines) == 0 {
			continue
		}
		after, _ := now.Service(s.Name)
		for _, r := range after.Replicas {
			if deadline, had := s.Deadlines[r.Address]; had && r.State == lb.Down {
				k.log.Info("drain deadline passed, replica is down", "service", s.Name, "replica", r.Address, "deadline", deadline)
			}
		}
	}
}
