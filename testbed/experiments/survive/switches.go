package survive

import (
	"context"
	"slices"
	"time"

	"lbctl/control/wire"
	"lbctl/lb"
	"lbctl/testbed/bed"
)

// perTable is how many of the replicas of sink are in a table at a time.
const perTable = 3

// strays are frames that came to a replica during a switch.
type strays struct {
	// outside came to one that is in neither table, inside to one that is in the new table alone.
	outside, inside uint64
}

// playSwitches replaces the table of sink by that of other replicas, again and again.
func (r *run) playSwitches(ctx context.Context) (err error) {
	whole := r.sink.Clone()
	r.findings.switches, err = r.under(ctx, "table switched", r.switches, func(ctx context.Context, l *load) error {
		if err := r.switchTable(ctx, l, r.choose(whole)); err != nil {
			return err
		}
		r.advance(1)
		return r.beat(ctx)
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
	if _, err := r.stage.Control().PutService(ctx, wire.NamedService(r.sink.name, s)); err != nil {
		return err
	}
	r.sink.set(s)
	return nil
}

// switchTable goes from one table to another and counts what comes to replicas of none of the two.
func (r *run) switchTable(ctx context.Context, l *load, to lb.Service) error {
	from := r.sink.snapshot()
	outside := func(i int) bool { _, listed := from.state(i); return !listed }
	// What the switch before left under way has to arrive first.
	before, err := r.quiet(ctx, outside)
	if err != nil {
		return err
	}
	if err := r.setSink(ctx, to); err != nil {
		return err
	}
	if err := l.more(ctx, between); err != nil {
		return err
	}
	after, err := r.stage.Links()
	if err != nil {
		return err
	}
	for i := r.sunk().from; i < r.sunk().to; i++ {
		came := after[i].Taken + after[i].Dropped - before[i].Taken - before[i].Dropped
		if _, listed := r.sink.state(i); listed && outside(i) {
			r.findings.strays.inside += came
		} else if outside(i) {
			r.findings.strays.outside += came
		}
	}
	return nil
}

// quiet waits until nothing comes to some replicas of sink, and returns what was counted.
func (r *run) quiet(ctx context.Context, which func(int) bool) (last []bed.Link, err error) {
	same := 0
	err = r.await(ctx, time.Second, func() (bool, error) {
		now, err := r.stage.Links()
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
