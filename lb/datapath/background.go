package datapath

import (
	"context"
	"slices"
	"sync"
	"time"

	"lbctl/lb"
	"lbctl/lb/nexthop"
)

// watch follows the network, and then resolves everything once: nothing that changes in between is missed.
func (d *Datapath) watch() (err error) {
	if d.options.manualClock {
		return nil
	}
	if d.watcher, err = nexthop.Watch(d.hops.network, follower{d}, d.options.Logger); err != nil {
		return err
	}
	return d.refresh(nexthop.Everything())
}

// follower passes what changes in the network on to the datapath.
type follower struct{ d *Datapath }

// Changed implements nexthop.Follower.
func (f follower) Changed() { f.d.registry.tables.InvalidateFIBCache() }

// Link implements nexthop.Follower.
func (f follower) Link(index int, name string, gone bool) {
	kind := lb.LinkChanged
	if gone {
		kind = lb.LinkGone
	}
	if err := f.d.linkNews(index); err != nil {
		f.d.options.Logger.Error("look after the links", "error", err)
	}
	f.d.events.tell(lb.Event{Kind: kind, Index: index, Interface: name})
}

// Refresh implements nexthop.Follower.
func (f follower) Refresh(c nexthop.Changes) {
	if err := f.d.refresh(c); err != nil {
		f.d.options.Logger.Error("refresh next hops", "error", err)
	}
}

// refresh brings the next hops of the replicas up to date. It returns when no packet can be reading the hops that it
// replaced, so that the next change may write there.
func (d *Datapath) refresh(c nexthop.Changes) error {
	return d.locked(func() error { return d.refreshLocked(c) })
}

func (d *Datapath) refreshLocked(c nexthop.Changes) error {
	if !d.hops.refresh(c, d.registry.services) {
		return nil
	}
	if d.registry.tables.Short.Low() {
		return d.registry.reclaim()
	}
	return d.registry.grace.Wait()
}

// reroute resolves the next hops again after a change of the interfaces on which packets come in, if rules ask for those.
func (d *Datapath) reroute(change func() error) error {
	was := d.links.indexes()
	if err := change(); err != nil {
		return err
	}
	if slices.Equal(was, d.links.indexes()) || !d.hops.network.Gather().HasIngressRules() {
		return nil
	}
	if err := d.refreshLocked(nexthop.Everything()); err != nil {
		d.options.Logger.Error("refresh next hops", "error", err)
	}
	return nil
}

// sweep lets time pass for the flows.
func (d *Datapath) sweep(elapsed time.Duration) error {
	return d.locked(func() error {
		defer d.registry.tables.Release() // of what changes since the last tick have mapped, too
		return d.transitions.sweep(elapsed)
	})
}

// tick is how often the records of flows are swept.
const tick = time.Second

// sweeper calls sweep every tick.
type sweeper struct {
	stopped chan struct{}
	done    sync.WaitGroup
}

func (d *Datapath) startSweeper() error {
	if d.options.manualClock {
		return nil
	}
	d.sweeper = &sweeper{stopped: make(chan struct{})}
	d.sweeper.done.Go(d.passTime)
	return nil
}

func (s *sweeper) stop() {
	close(s.stopped)
	s.done.Wait()
}

func (d *Datapath) passTime() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	audited := d.options.now()
	for last := audited; ; {
		select {
		case <-d.sweeper.stopped:
			return
		case <-ticker.C:
		}
		now := d.options.now()
		if err := d.sweep(now.Sub(last)); err != nil {
			d.options.Logger.Error("age the records of flows", "error", err)
		}
		last = now
		if err := d.hops.confirm(); err != nil {
			d.options.Logger.Error("have the neighbours of clients probed", "error", err)
		}
		if now.Sub(audited) < auditEvery {
			continue
		}
		if _, err := d.Verify(context.Background(), true); err != nil {
			d.options.Logger.Error("compare the kernel's tables, links and pins", "error", err)
		}
		audited = now
	}
}

// events are what happened in the network, for one reader.
type events struct {
	mu   sync.Mutex
	to   chan lb.Event
	lost bool
}

// Events implements lb.Dataplane.
func (d *Datapath) Events() <-chan lb.Event { return d.events.to }

// tell passes an event on and never waits: an event that finds no room is lost, and the reader is told so before
// the next one.
func (e *events) tell(what lb.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := []lb.Event{what}
	if e.lost {
		all = []lb.Event{{Kind: lb.EventsLost}, what}
	}
	e.lost = len(e.to)+len(all) > cap(e.to)
	if e.lost {
		return
	}
	for _, one := range all {
		e.to <- one
	}
}
