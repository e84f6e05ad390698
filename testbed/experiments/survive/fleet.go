package survive

import (
	"context"
	"errors"
	"sync"
	"time"

	"lbctl/testbed/bed"
	"lbctl/testbed/traffic/hold"
)

// fleet is several client processes that get the same orders.
type fleet []*bed.Process

// patience is how long clients wait for an answer: several retransmissions.
const patience = 5 * time.Second

// start starts n client processes that share the stage's client addresses. They wait for an answer so briefly that those who
// wait for them are not silent for too long.
func (r *run) start(ctx context.Context, n int) (fleet, error) {
	var f fleet
	for i := range n {
		p, err := r.stage.Hold(ctx, i, n, hold.Config{Timeout: min(patience, r.idle/3), Seed: r.random.Uint64()})
		if err != nil {
			return nil, err
		}
		f = append(f, p)
	}
	return f, nil
}

// order gives all processes an order, each its part of the connections to be opened, and
// returns their reports as one.
func (f fleet) order(o hold.Order) (hold.Report, error) {
	reports, errs := make([]hold.Report, len(f)), make([]error, len(f))
	var all sync.WaitGroup
	for i, p := range f {
		part := o
		part.Open = nil
		for _, w := range o.Open {
			part.Open = append(part.Open, hold.Wish{VIP: w.VIP, Count: share(w.Count, i, len(f))})
		}
		all.Go(func() { reports[i], errs[i] = p.Order(part) })
	}
	all.Wait()
	var sum hold.Report
	for _, r := range reports {
		sum.Kept, sum.Closed = append(sum.Kept, r.Kept...), append(sum.Closed, r.Closed...)
		sum.Lost = append(sum.Lost, r.Lost...)
		sum.Opened, sum.Refused = append(sum.Opened, r.Opened...), append(sum.Refused, r.Refused...)
	}
	return sum, errors.Join(errs...)
}

// share returns the i-th of n parts of a count.
func share(count, i, n int) int { return count*(i+1)/n - count*i/n }
