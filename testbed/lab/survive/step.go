package survive

import (
	"context"
	"fmt"
	"time"

	"lbctl/control/config"
	"lbctl/lb"
	"lbctl/testbed/traffic/hold"
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
	// before is the service as it was.
	before  *service
	changes []change
	effects []time.Duration
	// finished are the replicas that are removed after their clients have closed, gone those
	// that are removed while they have connections.
	finished, gone []int
	found          finding
}

// finding is what was found of the connections to a service.
type finding struct {
	// asked connections sent a message: of these that had to be kept, moved ones were reset or answered by
	// another replica, broken ones got no answer or a wrong one.
	asked, moved, broken int
	// doomed ones were those of a replica that was removed, and ended those of them that did end.
	doomed, ended int
	// opened are new ones, refused those that could not be, astray those that are not where the table
	// puts them, and older those that are not where the table from before would have put them.
	opened, refused, astray, older int
	// fates are the first losses, for the report.
	fates []hold.Lost
}

// lost is how many were lost that had to be kept.
func (f finding) lost() int { return f.moved + f.broken }

// plus returns the sum.
func (f finding) plus(g finding) finding {
	return finding{
		asked: f.asked + g.asked, moved: f.moved + g.moved, broken: f.broken + g.broken,
		doomed: f.doomed + g.doomed, ended: f.ended + g.ended,
		opened: f.opened + g.opened, refused: f.refused + g.refused, astray: f.astray + g.astray, older: f.older + g.older,
		fates: append(f.fates, g.fates...),
	}
}

// newStep plans changes of the kinds given. A replica that is down comes back before anything else.
func (r *run) newStep(services []*service, kinds []kind) *step {
	st := &step{run: r}
	for _, s := range services {
		p := &part{service: s, before: s.snapshot()}
		of := kinds
		if len(s.down()) > 0 {
			of = []kind{raise}
		}
		p.add(r.planner, s, of)
		if r.random.IntN(4) == 0 { // at once another one
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
		for _, c := range p.changes {
			start := time.Now()
			if err := st.change(ctx, p.service, c); err != nil {
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
func (r *run) change(ctx context.Context, s *service, c change) (err error) {
	control := r.stage.Control()
	switch document := config.WireService(s.name, c.after); c.kind {
	case resize, reseed:
		_, err = control.PutService(ctx, document)
	case remove, finish:
		_, err = control.DeleteReplica(ctx, s.name, s.replica(c.replica).String())
	default:
		for i, replica := range c.after.Replicas {
			if replica.Address == s.replica(c.replica) {
				_, err = control.PutReplica(ctx, s.name, document.Replicas[i])
			}
		}
	}
	return err
}
