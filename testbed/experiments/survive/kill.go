package survive

import (
	"context"
	"slices"
	"time"

	"lbctl/control/wire"
	"lbctl/lb"
	"lbctl/testbed/cluster"
)

// runKills kills the daemon again and again. While it is dead, frames are sent and all connections send a message.
func (r *run) runKills(ctx context.Context) (err error) {
	r.findings.kills, err = r.under(ctx, "daemon killed", r.kills, func(ctx context.Context, l *load) error {
		if err := r.cluster.Product().Crash(); err != nil {
			return err
		}
		if err := l.more(ctx, between); err != nil {
			return err
		}
		if err := r.askAll(ctx); err != nil {
			return err
		}
		r.Advance(1)
		return r.restart(ctx)
	})
	return err
}

// runUpdates ends the daemon and starts it again, without the privilege to see that the program is the same: each start swaps it.
func (r *run) runUpdates(ctx context.Context) error {
	r.cluster.Product().Unprivileged = true
	defer func() { r.cluster.Product().Unprivileged = false }()
	last, err := r.cluster.Program()
	if err != nil {
		return err
	}
	r.findings.updates, err = r.under(ctx, "program swapped", r.updates, func(ctx context.Context, _ *load) error {
		if err := r.cluster.Product().Halt(); err != nil {
			return err
		}
		if err := r.restart(ctx); err != nil {
			return err
		}
		now, err := r.cluster.Program()
		if err != nil {
			return err
		}
		if now != last {
			r.findings.swaps++
		}
		last = now
		r.Advance(1)
		return r.keepAlive(ctx)
	})
	return err
}

// runPurge is a control: the daemon is killed and its pins are removed. Frames are lost, and the memory of flows, so that
// connections break although the daemon is started again. The second time it is not, and no service is served.
func (r *run) runPurge(ctx context.Context) (err error) {
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
	r.Advance(1)
	return r.call(&r.findings.unserved)
}

// awaitDetached waits until no program is on the clients' link: the kernel detaches it some time after the last reference is gone.
func (r *run) awaitDetached(ctx context.Context) error {
	return r.await(ctx, time.Second, func() (bool, error) {
		id, err := r.cluster.Program()
		return id == 0, err
	})
}

// purge kills the daemon and removes what it pinned.
func (r *run) purge() error {
	if err := r.cluster.Product().Crash(); err != nil {
		return err
	}
	return r.cluster.Product().Purge()
}

// restart starts the daemon.
func (r *run) restart(ctx context.Context) error {
	err := r.cluster.Product().Restart(ctx)
	r.disturbed = time.Now()
	return err
}

// perTable is how many of the replicas of sink are in a table at a time.
const perTable = 3

// misrouted counts frames during switches of the table, by the replica to which they came.
type misrouted struct {
	// outside frames came to a replica of neither table, inside ones to a replica of the new table alone.
	outside, inside uint64
}

// runSwitches replaces sink's table by one of other replicas, again and again.
func (r *run) runSwitches(ctx context.Context) (err error) {
	whole := r.sink.Clone()
	r.findings.switches, err = r.under(ctx, "table switched", r.switches, func(ctx context.Context, l *load) error {
		if err := r.switchTable(ctx, l, r.choose(whole)); err != nil {
			return err
		}
		r.Advance(1)
		return r.keepAlive(ctx)
	})
	if err != nil {
		return err
	}
	return r.setSink(ctx, whole)
}

// choose returns the service with a few of its replicas.
func (r *run) choose(whole lb.Service) lb.Service {
	chosen := whole.Clone()
	r.random.Shuffle(len(chosen.Replicas), func(i, j int) {
		chosen.Replicas[i], chosen.Replicas[j] = chosen.Replicas[j], chosen.Replicas[i]
	})
	chosen.Replicas = chosen.Replicas[:perTable]
	return chosen
}

// setSink sets the service sink.
func (r *run) setSink(ctx context.Context, s lb.Service) error {
	if _, err := r.cluster.Control().PutService(ctx, wire.NamedService(r.sink.name, s)); err != nil {
		return err
	}
	r.sink.set(s)
	return nil
}

// switchTable replaces one table by another and counts what comes to replicas that are not in the old one.
func (r *run) switchTable(ctx context.Context, l *load, to lb.Service) error {
	from := r.sink.snapshot()
	outside := func(i int) bool { _, listed := from.state(i); return !listed }
	// Frames that are still under way by the table before that have to arrive first.
	before, err := r.quietLinks(ctx, outside)
	if err != nil {
		return err
	}
	if err := r.setSink(ctx, to); err != nil {
		return err
	}
	if err := l.more(ctx, between); err != nil {
		return err
	}
	after, err := r.cluster.Links()
	if err != nil {
		return err
	}
	for i := r.sunk().from; i < r.sunk().to; i++ {
		came := after[i].Taken + after[i].Dropped - before[i].Taken - before[i].Dropped
		if _, listed := r.sink.state(i); listed && outside(i) {
			r.findings.misrouted.inside += came
		} else if outside(i) {
			r.findings.misrouted.outside += came
		}
	}
	return nil
}

// quietLinks waits until no frame arrives at some replicas of sink, and returns the counts of all links.
func (r *run) quietLinks(ctx context.Context, which func(int) bool) (last []cluster.Link, err error) {
	same := 0
	err = r.await(ctx, time.Second, func() (bool, error) {
		now, err := r.cluster.Links()
		if err != nil {
			return false, err
		}
		same++
		for i := r.sunk().from; i < r.sunk().to; i++ {
			if last == nil || which(i) && now[i] != last[i] {
				same = 0
			}
		}
		last = slices.Clone(now)
		return same >= 2, nil
	})
	return last, err
}
