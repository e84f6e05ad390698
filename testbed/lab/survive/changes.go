package survive

import (
	"context"
	"time"
)

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

// rows are a line for each change; what became of the connections stands in the last.
func (p *part) rows(n int) (lines [][]any) {
	for i, c := range p.changes {
		var replica any
		if c.replica >= 0 {
			replica = c.replica
		}
		line := []any{n, p.service.name, string(c.kind), replica, milliseconds(p.effects[i])}
		if f := p.found; i == len(p.changes)-1 {
			line = append(line, f.asked, f.asked-f.lost(), f.moved, f.broken, f.ended, f.opened, f.astray)
		} else {
			line = append(line, nil, nil, nil, nil, nil, nil, nil)
		}
		lines = append(lines, line)
	}
	return lines
}

// milliseconds writes a time with the digits that matter.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}
