package process

import (
	"context"
	"fmt"
	"time"
)

// again is how often Until asks.
const again = 10 * time.Millisecond

// Until asks until the answer is nil. It gives up at the end of ctx, after a time, or when over,
// if there is one, returns an error; its own error holds the last answer. What stands in it.
func Until(ctx context.Context, within time.Duration, what string, ask func() error, over func() error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(again)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		if over != nil {
			if end := over(); end != nil {
				return end
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: %w", what, ctx.Err(), err)
		case <-tick.C:
		}
	}
}
