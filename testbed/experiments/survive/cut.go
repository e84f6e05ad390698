package survive

import (
	"context"
	"net/netip"
	"time"

	"lbctl/control/api"
	"lbctl/control/wire"
	"lbctl/lb"
	"lbctl/rss/packet"
)

// cuts is what was found of deaths of the daemon in the middle of an apply.
type cuts struct {
	times int
	// Of the services that were being changed, held against SYNs that came while the daemon was dead, old ones had the
	// table from before, renewed ones that of after, and mixed ones neither. Confused ones did not have a third table.
	old, renewed, mixed, confused int
	// After the next start halves are intents that hold a part of a change, strange ones that hold something else, diverged
	// services that have another table than the intent says, and forgotten changes that were answered as done and are not there.
	halves, strange, diverged, forgotten int
}

// cut is one of them.
type cut struct {
	run *run
	// before and after are the two services that are changed.
	before, after []*service
	probes        *probes
}

// playCuts kills the daemon at a random time of an apply, again and again. The first apply is not cut short: it
// tells how long one takes.
func (r *run) playCuts(ctx context.Context) error {
	whole := r.sink.Clone()
	first := r.newCut(whole)
	start := time.Now()
	if err := first.apply(ctx); err != nil {
		return err
	}
	takes := time.Since(start)
	first.settle(first.after)
	for range r.cuts {
		delay := time.Duration(r.random.Int64N(int64(takes) * 3 / 2))
		if err := r.newCut(whole).play(ctx, delay); err != nil {
			return err
		}
		r.advance(1)
		if err := r.beat(ctx); err != nil {
			return err
		}
	}
	return r.setSink(ctx, whole)
}

// newCut plans a change of sink, to others of its replicas, and of other; the hash of both is seeded anew.
func (r *run) newCut(whole lb.Service) *cut {
	c := &cut{run: r, before: []*service{r.sink.snapshot(), r.other.snapshot()}}
	for _, to := range []lb.Service{r.choose(whole), r.other.Clone()} {
		to.Seed = uint32(r.random.Uint64())
		s := c.before[len(c.after)].snapshot()
		s.set(to)
		c.after = append(c.after, s)
	}
	return c
}

// apply applies all services, those two changed.
func (c *cut) apply(ctx context.Context) error {
	var all []api.Service
	for _, s := range append(c.run.changed(), c.after...) {
		all = append(all, wire.NamedService(s.name, s.Service))
	}
	return c.run.stage.Apply(ctx, all...)
}

// settle takes note of what the services are.
func (c *cut) settle(now []*service) {
	c.run.sink.set(now[0].Service)
	c.run.other.set(now[1].Service)
}

// play applies, kills the daemon after a time, and looks at what packets find before and after the next start.
func (c *cut) play(ctx context.Context, delay time.Duration) (err error) {
	var vips []netip.AddrPort
	for _, s := range c.before {
		vips = append(vips, s.VIP.Address)
	}
	if c.probes, err = c.run.newProbes(c.run.aside(), vips); err != nil {
		return err
	}
	defer c.probes.close()
	answered := make(chan error, 1)
	go func() { answered <- c.apply(ctx) }()
	timer := time.NewTimer(delay)
	defer timer.Stop()
	<-timer.C
	if err := c.run.stage.Product().Crash(); err != nil {
		return err
	}
	done := <-answered == nil
	dead, err := c.look(ctx)
	if err != nil {
		return err
	}
	if err := c.run.restart(ctx); err != nil {
		return err
	}
	return c.converge(ctx, delay, done, dead)
}

// look sends new SYNs and returns where they came to, by flow.
func (c *cut) look(ctx context.Context) (map[packet.Flow]int, error) {
	c.probes.renew()
	to := c.probes.to
	captures, err := c.run.stage.Captured(to.from, to.to, func() error { return c.probes.send(ctx) })
	if err != nil {
		return nil, err
	}
	at := map[packet.Flow]int{}
	for _, f := range c.probes.flows {
		at[f] = -1
		if s := seen(captures, f, 1); s.whole && len(s.replicas) == 1 {
			at[f] = to.from + s.replicas[0]
		}
	}
	return at, nil
}

// by tells whether all flows to a service came to where its table puts them.
func (s *service) by(at map[packet.Flow]int) bool {
	for f, replica := range at {
		if f.Destination == s.VIP.Address && s.owner(f) != replica {
			return false
		}
	}
	return true
}
