package survive

import "context"

// playChanges changes the replicas of all services again and again.
func (r *run) playChanges(ctx context.Context) error {
	for n := range r.changes {
		st := r.newStep(r.changed(), every())
		if err := st.play(ctx, st.probe); err != nil {
			return err
		}
		for _, p := range st.parts {
			r.rows.changes = append(r.rows.changes, p.rows(n+1)...)
			r.enter(p)
		}
		r.advance(1)
	}
	return r.raiseAll(ctx)
}

// enter takes note of what was found of a service.
func (r *run) enter(p *part) {
	if p.service == r.untracked {
		r.findings.untracked = r.findings.untracked.plus(p.found)
		return
	}
	r.findings.tracked = r.findings.tracked.plus(p.found)
}
