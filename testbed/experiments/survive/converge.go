package survive

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"lbctl/control/wire"
	"lbctl/rss/packet"
)

// converge looks, after the next start, at what is intended and whether packets find it, and takes note of all.
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
	alive, err := c.look(ctx)
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
	f.halves += one(renewed != (intended[1] == c.after[1]))
	f.forgotten += one(done && !renewed)
	c.run.rows.cuts = append(c.run.rows.cuts, append(row, yes(renewed)))
	c.settle(intended)
	return nil
}

// yes writes a truth.
func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// enter takes note of the table by which a service's packets went while the daemon was dead, and names it.
func (f *cuts) enter(before, after *service, at map[packet.Flow]int) string {
	third := after.snapshot()
	other := third.Clone()
	other.Seed = ^other.Seed
	third.set(other)
	f.confused += one(!third.by(at))
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

// restore makes the services what they were.
func (c *cut) restore(ctx context.Context) error {
	c.after = c.before
	c.settle(c.before)
	return c.apply(ctx)
}

// intended returns of each service that one of the two which the intent names, nil for neither.
func (c *cut) intended(ctx context.Context) (all []*service, err error) {
	intent, _, err := c.run.stage.Control().Config(ctx)
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
