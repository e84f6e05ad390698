package survive

import (
	"context"
	"time"

	"lbctl/testbed/lab/stage"
)

// tick is how often something that is waited for is looked at.
const tick = time.Millisecond

// await looks until something has come about, or the time is over, which is no error: what was
// not seen by then is missing in what is counted.
func (r *run) await(ctx context.Context, limit time.Duration, come func() (bool, error)) error {
	late := time.NewTimer(limit)
	defer late.Stop()
	again := time.NewTicker(tick)
	defer again.Stop()
	for {
		if done, err := come(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			return nil
		case <-again.C:
		}
	}
}

// taken sums what was counted on the links to the replicas from first to end-1.
func (r *run) taken(first, end int) (sum stage.Link, err error) {
	links, err := r.stage.Links()
	if err != nil {
		return sum, err
	}
	for _, l := range links[first:end] {
		sum.Taken += l.Taken
		sum.Dropped += l.Dropped
	}
	return sum, nil
}

// calm is how many looks in a row must see the same.
const calm = 20

// settle waits until nothing comes to those replicas any more, and returns what was counted.
func (r *run) settle(ctx context.Context, first, end int) (last stage.Link, err error) {
	same := 0
	err = r.await(ctx, 5*time.Second, func() (bool, error) {
		now, err := r.taken(first, end)
		same++
		if now != last {
			same = 0
		}
		last = now
		return same >= calm, err
	})
	return last, err
}
