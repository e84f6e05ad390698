package survive

import (
	"context"
	"fmt"
	"time"

	"lbctl/control/wire"
	"lbctl/lb"
)

// step is one round of changes: each of some services is changed, once or twice in a row, then every
// connection is asked, and new ones are opened.
type step struct {
	*run
	parts []*part
}

// part is what a step does to one service, and what became of its connections.
type part struct {
	service *service
	// before is the service as it was, way what it was after each change but the last.
	before  *service
	way     []*service
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

// newPart makes one that changes nothing.
func (r *run) newPart(s *service) *part {
	p := &part{service: s, before: s.snapshot()}
	if s != r.untracked {
		p.flooded = r.flooded
	}
	return p
}

// newStep plans changes of the kinds given. A replica that is down comes back before anything else.
func (r *run) newStep(services []*service, kinds []kind) *step {
	st := &step{run: r}
	for _, s := range services {
		p := r.newPart(s)
		of := kinds
		if len(s.down()) > 0 {
			of = []kind{raise}
		}
		p.add(r.planner, s, of)
		if r.random.IntN(4) == 0 && !p.expires() { // at once another one
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
				p.way = append(p.way, p.service.snapshot())
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
	control := r.stage.Control()
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
