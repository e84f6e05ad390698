package survive

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"lbctl/lb"
	"lbctl/testbed/cluster"
	"lbctl/testbed/traffic/hold"
)

// holders are client processes that hold connections and get the same orders.
type holders []*cluster.Holders

// patience is how long clients wait for an answer: several retransmissions.
const patience = 5 * time.Second

// start starts n client processes that share the cluster's client addresses. They wait less than the idle time for an
// answer: the other connections must not be silent for longer while a round waits.
func (r *run) start(ctx context.Context, n int) (holders, error) {
	var h holders
	for i := range n {
		p, err := r.cluster.Hold(ctx, i, n, hold.Config{Timeout: min(patience, r.idle/3), Seed: r.random.Uint64()})
		if err != nil {
			return nil, err
		}
		h = append(h, p)
	}
	return h, nil
}

// order gives all processes an order, each its part of the connections to be opened, and
// returns their reports as one.
func (h holders) order(o hold.Order) (hold.Report, error) {
	reports, errs := make([]hold.Report, len(h)), make([]error, len(h))
	var all sync.WaitGroup
	for i, p := range h {
		part := o
		part.Open = nil
		for _, w := range o.Open {
			part.Open = append(part.Open, hold.OpenRequest{VIP: w.VIP, Count: share(w.Count, i, len(h))})
		}
		all.Go(func() { reports[i], errs[i] = p.Order(part) })
	}
	all.Wait()
	var sum hold.Report
	for _, r := range reports {
		sum.Closed = append(sum.Closed, r.Closed...)
		sum.Asked, sum.Lost = append(sum.Asked, r.Asked...), append(sum.Lost, r.Lost...)
		sum.Opened, sum.Refused = append(sum.Opened, r.Opened...), append(sum.Refused, r.Refused...)
	}
	return sum, errors.Join(errs...)
}

// share returns the i-th of n parts of a count.
func share(count, i, n int) int { return count*(i+1)/n - count*i/n }

// visits are new connections to the service other, a few at a time, until end is called.
type visits struct {
	stop context.CancelFunc
	done chan visit
}

// visit is what became of them.
type visit struct {
	took   []time.Duration
	failed int
	err    error
}

// perVisit is how many connections are opened and closed at a time, and visitEvery how often.
const (
	perVisit   = 8
	visitEvery = 20 * time.Millisecond
)

// visit starts the visits, by clients of their own that run already.
func (r *run) visit(ctx context.Context) *visits {
	ctx, stop := context.WithCancel(ctx)
	v := &visits{stop: stop, done: make(chan visit, 1)}
	go func() {
		next := time.NewTicker(visitEvery)
		defer next.Stop()
		var all visit
		for all.err == nil && ctx.Err() == nil {
			all.err = r.call(&all)
			select {
			case <-ctx.Done():
			case <-next.C:
			}
		}
		v.done <- all
	}()
	return v
}

// call opens some connections to the service other, and closes those of the call before.
func (r *run) call(all *visit) error {
	o := hold.Order{Open: []hold.OpenRequest{{VIP: r.other.VIP.Address, Count: perVisit}}}
	for i := range others {
		o.Close = append(o.Close, r.other.place(r.replicas+i))
	}
	report, err := r.visitors.order(o)
	for _, opened := range report.Opened {
		all.took = append(all.took, opened.Took)
	}
	all.failed += len(report.Refused)
	return err
}

// end ends the visits and returns what became of them.
func (v *visits) end() visit {
	v.stop()
	all := <-v.done
	slices.Sort(all.took)
	return all
}

// tried is how many connections were to be opened.
func (v visit) tried() int { return len(v.took) + v.failed }

// quantile returns the time within which a share of the connections was open.
func (v visit) quantile(q float64) time.Duration {
	if len(v.took) == 0 {
		return 0
	}
	return v.took[min(int(q*float64(len(v.took))), len(v.took)-1)]
}

// row is a line of the report.
func (v visit) row(during string) []any {
	return []any{during, v.tried(), v.failed,
		milliseconds(v.quantile(0.5)), milliseconds(v.quantile(0.99)), milliseconds(v.quantile(1))}
}

// askAll sends a message on every connection while no service of theirs is being changed.
func (r *run) askAll(context.Context) error {
	found, err := r.inspect()
	r.findings.still = r.findings.still.plus(found)
	return err
}

// inspect sends a message on every connection and returns what was found of those whose flows are remembered.
func (r *run) inspect() (found finding, err error) {
	var parts []*part
	for _, s := range r.services {
		parts = append(parts, r.newPart(s))
	}
	err = r.round(parts)
	for _, p := range parts {
		found = found.plus(p.found)
	}
	return found, err
}

// keepAlive sends a message on every connection if they have been silent for a step of their idle time: the load
// balancer forgets a flow that is silent for longer than that time.
func (r *run) keepAlive(ctx context.Context) error {
	if time.Since(r.asked) < r.idle/lb.IdleSteps {
		return nil
	}
	return r.askAll(ctx)
}

// runPause waits until no service has changed and the daemon has run for longer than the idle time. By then the load
// balancer has forgotten the flows that ended, and has settled the slots that were in transition.
func (r *run) runPause(ctx context.Context) error {
	if !r.pause {
		return nil
	}
	over := r.disturbed.Add(r.idle + 2*r.idle/lb.IdleSteps)
	return r.await(ctx, time.Until(over), func() (bool, error) { return false, r.keepAlive(ctx) })
}

// raiseAll sets replicas up that are down: their connections must not be silent for longer than the idle time.
func (r *run) raiseAll(ctx context.Context) error {
	for _, s := range r.changed() {
		if len(s.down()) == 0 {
			continue
		}
		if c, ok := r.planner.plan(s, []kind{raise}, nil); ok {
			if err := r.change(ctx, s, c, time.Time{}); err != nil {
				return err
			}
			s.set(c.after)
		}
	}
	return nil
}
