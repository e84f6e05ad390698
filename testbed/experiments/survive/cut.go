package survive

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"lbctl/control/api"
	"lbctl/control/wire"
	"lbctl/lb"
	"lbctl/rss/packet"
	"lbctl/testbed/experiment"
)

// cuts counts what was found of deaths of the daemon in the middle of an apply.
type cuts struct {
	times int
	// SYNs that came while the daemon was dead show the table of each service that was being changed: old ones had the
	// table from before the apply, renewed ones the table after it, mixed ones neither. Confused ones, for the control, are
	// those that did not have a third table, which no service ever had.
	old, renewed, mixed, confused int
	// After the next start, halves are intents that hold a part of the change, strange ones intents that hold something else,
	// diverged ones services with another table than intended, and forgotten ones changes that were answered as done
	// and are not intended.
	halves, strange, diverged, forgotten int
}

// cut is one death in the middle of an apply.
type cut struct {
	run *run
	// before and after are the two services that are changed.
	before, after []*service
	probes        *probes
}

// runCuts kills the daemon at a random time of an apply, again and again. The first apply is not cut short: it
// measures how long one takes.
func (r *run) runCuts(ctx context.Context) error {
	whole := r.sink.Clone()
	first := r.newCut(whole)
	start := time.Now()
	if err := first.apply(ctx); err != nil {
		return err
	}
	takes := time.Since(start)
	first.adopt(first.after)
	for range r.cuts {
		delay := time.Duration(r.random.Int64N(int64(takes) * 3 / 2))
		if err := r.newCut(whole).do(ctx, delay); err != nil {
			return err
		}
		r.Advance(1)
		if err := r.keepAlive(ctx); err != nil {
			return err
		}
	}
	return r.setSink(ctx, whole)
}

// newCut plans a change of two services: sink gets others of its replicas, and the hashes of sink and other get new seeds.
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

// apply applies all services with the two changes.
func (c *cut) apply(ctx context.Context) error {
	var all []api.Service
	for _, s := range append(c.run.changed(), c.after...) {
		all = append(all, wire.NamedService(s.name, s.Service))
	}
	return c.run.cluster.Apply(ctx, all...)
}

// adopt records what the two services are now.
func (c *cut) adopt(now []*service) {
	c.run.sink.set(now[0].Service)
	c.run.other.set(now[1].Service)
}

// do applies, kills the daemon after a time, and finds out which tables packets meet before and after the next start.
func (c *cut) do(ctx context.Context, delay time.Duration) (err error) {
	var vips []netip.AddrPort
	for _, s := range c.before {
		vips = append(vips, s.VIP.Address)
	}
	if c.probes, err = c.run.newProbes(c.run.unchanged(), vips); err != nil {
		return err
	}
	defer c.probes.close()
	answered := make(chan error, 1)
	go func() { answered <- c.apply(ctx) }()
	timer := time.NewTimer(delay)
	defer timer.Stop()
	<-timer.C
	if err := c.run.cluster.Product().Crash(); err != nil {
		return err
	}
	done := <-answered == nil
	dead, err := c.locate(ctx)
	if err != nil {
		return err
	}
	if err := c.run.restart(ctx); err != nil {
		return err
	}
	return c.converge(ctx, delay, done, dead)
}

// locate sends new SYNs and returns the replicas where they arrived, by flow.
func (c *cut) locate(ctx context.Context) (map[packet.Flow]int, error) {
	c.probes.renew()
	to := c.probes.to
	captures, err := c.run.cluster.Captured(to.from, to.to, func() error { return c.probes.send(ctx) })
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

// by tells whether all flows to a service arrived where its table puts them.
func (s *service) by(at map[packet.Flow]int) bool {
	for f, replica := range at {
		if f.Destination == s.VIP.Address && s.owner(f) != replica {
			return false
		}
	}
	return true
}

// converge compares, after the next start, what is intended with the tables that packets meet, and records it.
func (c *cut) converge(ctx context.Context, delay time.Duration, done bool, dead map[packet.Flow]int) error {
	f := &c.run.findings.cuts
	intended, err := c.intended(ctx)
	if err != nil {
		return err
	}
	f.times++
	if slices.Contains(intended, nil) {
		f.strange++
		return c.restore(ctx)
	}
	alive, err := c.locate(ctx)
	if err != nil {
		return err
	}
	row := []any{f.times, milliseconds(delay), yes(done)}
	for i := range c.before {
		found := f.enter(c.before[i], c.after[i], dead)
		if !intended[i].by(alive) {
			f.diverged++
		}
		row = append(row, found)
	}
	renewed := intended[0] == c.after[0]
	f.halves += experiment.One(renewed != (intended[1] == c.after[1]))
	f.forgotten += experiment.One(done && !renewed)
	c.run.rows.cuts = append(c.run.rows.cuts, append(row, yes(renewed)))
	c.adopt(intended)
	return nil
}

// yes writes a boolean for a reader.
func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// enter records which table a service had while the daemon was dead, and returns its name.
func (f *cuts) enter(before, after *service, at map[packet.Flow]int) string {
	third := after.snapshot()
	other := third.Clone()
	other.Seed = ^other.Seed
	third.set(other)
	f.confused += experiment.One(!third.by(at))
	switch {
	case after.by(at):
		f.renewed++
		return "new"
	case before.by(at):
		f.old++
		return "old"
	}
	f.mixed++
	return "neither"
}

// restore makes the services what they were before the apply.
func (c *cut) restore(ctx context.Context) error {
	c.after = c.before
	c.adopt(c.before)
	return c.apply(ctx)
}

// intended returns for each service the state that the intent names, before or after; nil for neither.
func (c *cut) intended(ctx context.Context) (all []*service, err error) {
	intent, _, err := c.run.cluster.Control().Config(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask what is intended: %w", err)
	}
	for i := range c.before {
		var found *service
		for _, s := range []*service{c.before[i], c.after[i]} {
			document := wire.NamedService(s.name, s.Service)
			for _, is := range intent.Services {
				if reflect.DeepEqual(is, document) {
					found = s
				}
			}
		}
		all = append(all, found)
	}
	return all, nil
}
