package survive

import (
	"context"
	"net/netip"
	"slices"
)

// starting are flows that have started at a service and are not established: their SYN is all that comes,
// again and again.
type starting struct {
	run    *run
	probes *probes
	part   *part
	at     []sighting
	// times is how often all were sent.
	times int
}

// startFlows lets flows start at a service of some replicas.
func (r *run) startFlows(ctx context.Context, to span, s *service) (*starting, error) {
	probes, err := r.newProbes(to, []netip.AddrPort{s.VIP.Address})
	if err != nil {
		return nil, err
	}
	e := &starting{run: r, probes: probes, part: &part{service: s, before: s.snapshot()}}
	if err := e.again(ctx); err != nil {
		probes.close()
		return nil, err
	}
	return e, nil
}

// again sends the SYN of each and notes where it came to.
func (e *starting) again(ctx context.Context) error {
	to := e.probes.to
	captures, err := e.run.stage.Captured(to.from, to.to, func() error { return e.probes.send(ctx) })
	if err != nil {
		return err
	}
	e.times++
	for i, f := range e.probes.flows {
		now := seen(captures, f, 1)
		if e.times == 1 {
			e.at = append(e.at, now)
			continue
		}
		e.at[i] = sighting{replicas: union(e.at[i].replicas, now.replicas), whole: e.at[i].whole && now.whole}
	}
	return nil
}

// sightings says how many flows came to a second replica.
func (e *starting) sightings() (s sightings) {
	for i, f := range e.probes.flows {
		s.enter(e.at[i], serving(e.part, f))
	}
	s.times = e.times
	return s
}

// union returns the numbers that are in a or b, once each.
func union(a, b []int) []int {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// reseedSink gives sink's hash another seed.
func (r *run) reseedSink(ctx context.Context) error {
	s := r.sink.Clone()
	s.Seed += 1 + uint32(r.random.IntN(1<<16))
	return r.setSink(ctx, s)
}
