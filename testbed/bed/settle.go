package bed

import (
	"context"
	"fmt"
	"time"

	"lbctl/lb"
)

// settledWithin is how long the last packets of an act may be under way.
const settledWithin = 2 * time.Second

// reasons asks the load balancer for its counters, by reason.
func (s *Stage) reasons(ctx context.Context) (map[lb.Reason]uint64, error) {
	counters, err := s.product.Control.Counters(ctx)
	if err != nil {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	reasons := make(map[lb.Reason]uint64, len(counters.Reasons))
	for _, r := range counters.Reasons {
		reasons[lb.Reason(r.Reason)] = r.Packets
	}
	return reasons, nil
}

// delivered returns how many frames the NIC has delivered since it started, and how
// many it dropped.
func (s *Stage) delivered() (frames, dropped uint64) {
	stats := s.nic.Stats()
	for _, q := range stats.Queues {
		frames += q.Frames
		dropped += q.Drops
	}
	return frames - stats.Refused, dropped
}

// counts are what the NIC delivered and what the load balancer counted, at a moment.
type counts struct {
	frames, dropped, sum uint64
	reasons              map[lb.Reason]uint64
}

func (s *Stage) counts(ctx context.Context) (c counts, err error) {
	c.frames, c.dropped = s.delivered()
	if c.reasons, err = s.reasons(ctx); err != nil {
		return counts{}, err
	}
	for _, n := range c.reasons {
		c.sum += n
	}
	return c, nil
}

// quiet is how many times in a row, a tick apart, nothing must have changed.
const (
	quiet = 3
	tick  = 10 * time.Millisecond
)

// settle waits until no packet is under way, then ends the watch. Clients and
// replicas have closed by now: what is left takes microseconds. When it does not get quiet
// in time the record shows counts that differ.
func (a *act) settle(ctx context.Context) error {
	late := time.After(settledWithin)
	again := time.NewTicker(tick)
	defer again.Stop()
	last, err := a.stage.counts(ctx)
	for same := 0; err == nil && same < quiet; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			same = quiet
			continue
		case <-again.C:
		}
		var now counts
		now, err = a.stage.counts(ctx)
		same++
		if now.frames != last.frames || now.sum != last.sum {
			same = 0
		}
		last = now
	}
	if err != nil {
		return err
	}
	a.enter(last)
	return a.finish()
}

// enter notes what was counted since the act began.
func (a *act) enter(now counts) {
	a.record.Reasons = map[lb.Reason]uint64{}
	for reason, n := range now.reasons {
		a.record.Reasons[reason] = n - a.watch.reasons[reason]
	}
	a.record.Dropped = now.dropped - a.watch.dropped
	a.record.Seen = now.frames - a.watch.frames
}
