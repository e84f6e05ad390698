package survive

import (
	"context"
	"time"
)

// playKills kills the daemon again and again. While it is dead frames go on, and connections are asked.
func (r *run) playKills(ctx context.Context) (err error) {
	r.findings.kills, err = r.under(ctx, "daemon killed", r.kills, func(ctx context.Context, l *load) error {
		if err := r.stage.Product().Crash(); err != nil {
			return err
		}
		if err := l.more(ctx, between); err != nil {
			return err
		}
		if err := r.look(ctx); err != nil {
			return err
		}
		r.advance(1)
		return r.restart(ctx)
	})
	return err
}

// playUpdates ends the daemon and starts it again: each start puts its program in the place of the one before.
func (r *run) playUpdates(ctx context.Context) error {
	last, err := r.stage.Program()
	if err != nil {
		return err
	}
	r.findings.updates, err = r.under(ctx, "program swapped", r.updates, func(ctx context.Context, _ *load) error {
		if err := r.stage.Product().Halt(); err != nil {
			return err
		}
		if err := r.restart(ctx); err != nil {
			return err
		}
		now, err := r.stage.Program()
		if err != nil {
			return err
		}
		if now != last {
			r.findings.swaps++
		}
		last = now
		r.advance(1)
		return r.beat(ctx)
	})
	return err
}

// playPurge is a control: with the daemon goes all that it pinned. What is lost is frames; what was remembered, so that
// connections break although the daemon comes back; and, while it does not, every service.
func (r *run) playPurge(ctx context.Context) (err error) {
	r.findings.purged, err = r.under(ctx, "control: killed and purged", 1, func(ctx context.Context, l *load) error {
		if err := r.purge(); err != nil {
			return err
		}
		if err := l.more(ctx, between); err != nil {
			return err
		}
		return r.restart(ctx)
	})
	if err != nil {
		return err
	}
	if r.findings.forgotten, err = r.inspect(); err != nil {
		return err
	}
	if err := r.purge(); err != nil {
		return err
	}
	if err := r.awaitDetached(ctx); err != nil {
		return err
	}
	r.advance(1)
	return r.call(&r.findings.unserved)
}

// awaitDetached waits until no program is on the clients' link: the kernel takes it away some time after the last reference.
func (r *run) awaitDetached(ctx context.Context) error {
	return r.await(ctx, time.Second, func() (bool, error) {
		id, err := r.stage.Program()
		return id == 0, err
	})
}

// purge kills the daemon and removes what it pinned.
func (r *run) purge() error {
	if err := r.stage.Product().Crash(); err != nil {
		return err
	}
	return r.stage.Product().Purge()
}

// restart starts the daemon.
func (r *run) restart(ctx context.Context) error {
	err := r.stage.Product().Restart(ctx)
	r.disturbed = time.Now()
	return err
}
