package survive

import (
	"context"
	"fmt"
)

// remember notes what the load balancer remembers of flows after an arm that changed it, and what memory it takes.
func (r *run) remember(ctx context.Context, after string) error {
	all, err := r.stage.Control().Flows(ctx)
	if err != nil {
		return fmt.Errorf("ask what is remembered of flows: %w", err)
	}
	for _, s := range all.Services {
		if s.Name == r.sink.name || s.Name == r.untracked.name {
			continue
		}
		var established, halfOpen uint64
		for _, replica := range s.Replicas {
			established, halfOpen = established+replica.FlowCounts.Established, halfOpen+replica.FlowCounts.HalfOpen
		}
		r.rows.flows = append(r.rows.flows, []any{after, s.Name, s.Tracking, s.Slots, s.SlotsInTransition, established, halfOpen})
	}
	return r.weigh(after)
}

// weigh notes what memory daemon, clients and replicas have.
func (r *run) weigh(after string) error {
	daemon, err := r.stage.Product().Memory()
	if err != nil {
		return err
	}
	line := []any{after, len(r.held), megabytes(daemon.Resident), megabytes(daemon.Peak), megabytes(daemon.Tables)}
	for _, all := range []fleet{r.fleet, r.servers} {
		var sum uint64
		for _, p := range all {
			m, err := p.Memory()
			if err != nil {
				return err
			}
			sum += m.Resident
		}
		line = append(line, megabytes(sum))
	}
	r.rows.memory = append(r.rows.memory, line)
	return nil
}

// megabytes writes a size in MiB.
func megabytes(bytes uint64) float64 { return float64(bytes*10>>20) / 10 }
