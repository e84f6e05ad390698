package survive

import (
	"context"
	"fmt"
)

// remember notes what the load balancer remembers of flows after an arm that changed it.
func (r *run) remember(ctx context.Context, after string) error {
	all, err := r.stage.Control().Flows(ctx)
	if err != nil {
		return fmt.Errorf("ask what is remembered of flows: %w", err)
	}
	for _, s := range all.Services {
		if s.Service == r.sink.name || s.Service == r.untracked.name {
			continue
		}
		var established, embryonic uint64
		for _, replica := range s.Replicas {
			established, embryonic = established+replica.Flows.Established, embryonic+replica.Flows.Embryonic
		}
		r.rows.memory = append(r.rows.memory, []any{after, s.Service, s.Tracking, s.Slots, s.MarkedSlots, established, embryonic})
	}
	return nil
}
