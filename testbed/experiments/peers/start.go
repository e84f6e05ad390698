package peers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lbctl/testbed/bench/load"
	"lbctl/testbed/process"
)

// up makes the paths. A rival that does not start is not measured, and says why.
func (b *bench) up(ctx context.Context) error {
	for _, p := range b.paths {
		b.env.Progress.Step("start " + p.name)
		err := b.wire(p)
		if err == nil && p.start != nil {
			if err = quicken(p.balancer); err == nil {
				err = p.start(ctx, b, p)
			}
		}
		if err == nil {
			err = b.reachable(ctx, p)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && p.role != rival {
			return fmt.Errorf("start %s: %w", p.name, err)
		}
		if err != nil {
			p.broken = err.Error()
			b.env.Log.Warn("a peer is not measured", "peer", p.name, "why", err)
		}
	}
	return nil
}

// startedWithin is how long a balancer may take to answer the first request.
const startedWithin = 10 * time.Second

// reachable asks until a peer does each work.
func (b *bench) reachable(ctx context.Context, p *path) error {
	for _, w := range b.works {
		if !b.gives(p, w) {
			continue
		}
		err := process.Until(ctx, startedWithin, w.Name, func() error {
			r, err := b.do(ctx, load.Job{Work: w, Targets: p.targets(), Requests: 1, Concurrency: 1, Timeout: time.Second})
			if err == nil && r.Errors > 0 {
				err = errors.New(r.Error)
			}
			return err
		}, p.over)
		if err != nil {
			return err
		}
	}
	return nil
}

// over says why there is nothing more to wait for.
func (p *path) over() error {
	if p.process == nil {
		return nil
	}
	return p.process.Over()
}
