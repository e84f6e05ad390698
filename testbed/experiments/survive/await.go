package survive

import (
	"context"
	"time"
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
