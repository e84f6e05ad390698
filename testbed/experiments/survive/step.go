package survive

import (
	"context"
	"fmt"
	"time"

	"lbctl/control/wire"
	"lbctl/lb"
)

// step is one round of changes: each of some services is changed, once or twice in a row, then every
// connection sends a message, and new ones are opened.
type step struct {
	*run
	parts []*part
}

// part is what a step does to one service, and what becomes of its connections.
type part struct {
	service *service
	// before is the service as it was, between what it was after each change but the last.
	before  *service
	between []*service
	changes []change
	effects []time.Duration
	// finished are the replicas that are removed after their clients have closed, gone those
	// that are removed while they have connections.
	finished, gone []int
	// flooded is when SYNs flooded the service.
	flooded period
	// deadline is when a replica that is draining is set down; zero: never.
	deadline time.Time
	found    finding
}

// newPart makes a part that changes nothing.
func (r *run) newPart(s *service) *part {
	p := &part{service: s, before: s.snapshot()}
	if s != r.untracked {
		p.flooded = r.flooded
	}
	return p
}

// newStep plans changes of the kinds given. A replica that is down is set up again before anything else.
func (r *run) newStep(services []*service, kinds []kind) *step {
	st := &step{run: r}
	for _, s := range services {
		p := r.newPart(s)
		of := kinds
		if len(s.down()) > 0 {
			of = []kind{raise}
		}
		p.add(r.planner, s, of)
		if r.random.IntN(4) == 0 && !p.expires() { // a second change right after the first
			next := s.snapshot()
			next.set(p.after())
			p.add(r.planner, next, harmless())
		}
		st.parts = append(st.parts, p)
	}
	return st
}

// add plans one more change.
func (p *part) add(planner *planner, s *service, kinds []kind) {
	c, ok := planner.plan(s, kinds, p.gone)
	if !ok {
		return
	}
	p.changes = append(p.changes, c)
	switch c.kind {
	case remove:
		p.gone = append(p.gone, c.replica)
	case finish:
		p.finished = append(p.finished, c.replica)
	}
}

// after returns the service as the changes make it.
func (p *part) after() lb.Service {
	if len(p.changes) == 0 {
		return p.before.Service
	}
	return p.changes[len(p.changes)-1].after
}

// apply makes the changes of all services.
func (st *step) apply(ctx context.Context) error {
	for _, p := range st.parts {
		for n, c := range p.changes {
			if n > 0 {
				p.between = append(p.between, p.service.snapshot())
			}
			if c.kind == expire {
				p.deadline = st.deadline()
			}
			start := time.Now()
			if err := st.change(ctx, p.service, c, p.deadline); err != nil {
				return fmt.Errorf("change service %s, %s of replica %d: %w", p.service.name, c.kind, c.replica, err)
			}
			p.effects = append(p.effects, time.Since(start))
			p.service.set(c.after)
			st.disturbed = time.Now()
		}
	}
	return nil
}

// change makes one change. When the call returns the change has its effect.
func (r *run) change(ctx context.Context, s *service, c change, deadline time.Time) (err error) {
	control := r.cluster.Control()
	switch document := wire.NamedService(s.name, c.after); c.kind {
	case resize, reseed:
		_, err = control.PutService(ctx, document)
	case remove, finish:
		_, err = control.DeleteReplica(ctx, s.name, s.replica(c.replica).String())
	default:
		for i, replica := range c.after.Replicas {
			if replica.Address != s.replica(c.replica) {
				continue
			}
			if c.kind == expire {
				document.Replicas[i].DrainUntil = deadline.Format(time.RFC3339)
			}
			_, err = control.PutReplica(ctx, s.name, document.Replicas[i])
		}
	}
	return err
}

// expires tells whether a replica of the service has a deadline.
func (p *part) expires() bool {
	return len(p.changes) > 0 && p.changes[len(p.changes)-1].kind == expire
}

// exchanged is time enough before a deadline for a message and its answer.
const exchanged = 250 * time.Millisecond

// late tells whether a message was sent when the deadline of its replica was near or had passed.
func (p *part) late(replica int, sent time.Time) bool {
	return p.expires() && p.changes[len(p.changes)-1].replica == replica && sent.After(p.deadline.Add(-exchanged))
}

// deadline returns a time, in whole seconds as the load balancer wants it, before which every connection can send a
// message.
func (r *run) deadline() time.Time {
	return time.Now().Add(time.Second/2 + 2*r.took).Truncate(time.Second).Add(time.Second)
}

// lateness is how long after its deadline a replica must be down: the daemon checks deadlines every second.
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
		now, err := r.cluster.Control().Replicas(ctx, s.name) // the service itself is as it is declared
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
