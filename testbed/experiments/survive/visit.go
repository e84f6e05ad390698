package survive

import (
	"context"
	"slices"
	"time"

	"lbctl/testbed/traffic/hold"
)

// visits are new connections to the service other, a few at a time, until they are ended.
type visits struct {
	stop context.CancelFunc
	done chan visit
}

// visit is what was found of them.
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

// visit starts visiting: with clients of their own, who are there already.
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

// call opens some connections to the service other, and closes those of the last time.
func (r *run) call(all *visit) error {
	o := hold.Order{Open: []hold.Wish{{VIP: r.other.VIP.Address, Count: perVisit}}}
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

// end ends the visits and returns what was found.
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
