package survive

import (
	"context"
	"errors"
	"net/netip"
	"sync"

	"lbctl/testbed/lab/stage"
	"lbctl/testbed/traffic/hold"
)

// fleet is several client processes that get the same orders.
type fleet []*stage.Process

// start starts n client processes that share the stage's client addresses.
func start(ctx context.Context, s *stage.Stage, n int, seed func() uint64) (fleet, error) {
	var f fleet
	for i := range n {
		p, err := s.Hold(ctx, i, n, hold.Config{Seed: seed()})
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

// holding is how many connections there are at each place.
type holding map[hold.Place]int

// enter takes note of a report.
func (h holding) enter(r hold.Report) {
	for _, o := range r.Opened {
		h[o.Place]++
	}
	for _, l := range r.Lost {
		h[l.Place]--
	}
	for _, c := range r.Closed {
		h[c.Place] -= c.Connections
	}
}

// of returns how many there are at a VIP.
func (h holding) of(vip netip.AddrPort) (sum int) {
	for p, n := range h {
		if p.VIP == vip {
			sum += n
		}
	}
	return sum
}
