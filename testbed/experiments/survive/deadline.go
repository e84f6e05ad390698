package survive

import (
	"context"
	"fmt"
	"time"

	"lbctl/lb"
)

// expires tells whether a replica of the service has a deadline.
func (p *part) expires() bool {
	return len(p.changes) > 0 && p.changes[len(p.changes)-1].kind == expire
}

// late tells whether the deadline of a replica has passed.
func (p *part) late(replica int) bool {
	return p.expires() && p.changes[len(p.changes)-1].replica == replica && time.Now().After(p.deadline)
}

// deadline returns a time, in whole seconds as the load balancer wants it, before which all connections can be asked.
func (r *run) deadline() time.Time {
	return time.Now().Add(time.Second/2 + 2*r.took).Truncate(time.Second).Add(time.Second)
}

// lateness is how long after a deadline a replica must be down: the daemon looks every second.
const lateness = 5 * time.Second

// passDeadlines waits until the replicas that have a deadline are down, and tells whether there were any.
func (st *step) passDeadlines(ctx context.Context) (any bool, err error) {
	for _, p := range st.parts {
		if !p.expires() {
			continue
		}
		replica := p.changes[len(p.changes)-1].replica
		if err := st.awaitDown(ctx, p.service, replica, p.deadline); err != nil {
			return any, err
		}
		down := p.service.Clone()
		for i, r := range down.Replicas {
			if r.Address == p.service.replica(replica) {
				down.Replicas[i].State = lb.Down
			}
		}
		p.service.set(down)
		st.disturbed, any = time.Now(), true
	}
	return any, nil
}

// awaitDown waits until a replica is down.
func (r *run) awaitDown(ctx context.Context, s *service, replica int, deadline time.Time) error {
	passed := time.NewTimer(time.Until(deadline))
	defer passed.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-passed.C:
	}
	down := false
	err := r.await(ctx, lateness, func() (bool, error) {
		now, err := r.stage.Control().Service(ctx, s.name)
		for _, listed := range now.Replicas {
			if listed.Address == s.replica(replica).String() {
				down = listed.State == lb.Down.String()
			}
		}
		return down, err
	})
	if err == nil && !down {
		return fmt.Errorf("service %s: replica %d is not down %v after its deadline", s.name, replica, lateness)
	}
	return err
}
