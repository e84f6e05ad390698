package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"lbctl/rss/observe"
	"lbctl/testbed/capture"
)

// programPin and linkPin are the paths at which the daemon pins its XDP program and that program's
// link to an interface: lb/datapath promises them to the next daemon.
func programPin(dir string) string { return filepath.Join(dir, "lb") }

func linkPin(dir string, index int) string { return filepath.Join(dir, fmt.Sprintf("link_%d", index)) }

// witnesses watch one arm. The zero value watches nothing.
type witnesses struct {
	captures []*capture.Capture
	observer *observe.Observer
	// before is what had been counted when the arm began.
	before counters
}

// startWitnesses starts the captures on the replicas' links and the observer before the
// load balancer's program on the NIC, and reads the counters.
func (r *armRun) startWitnesses(ctx context.Context) error {
	s := r.cluster
	for _, l := range s.links {
		c, err := capture.Start(l, capture.Options{})
		if err != nil {
			return err
		}
		r.watch.captures = append(r.watch.captures, c)
	}
	host, err := s.nic.Host()
	if err != nil {
		return err
	}
	// A sprayed flow is on every queue; room for twice as many is room for all.
	pairs := 2 * r.arm.Traffic.Connections * len(s.nic.Stats().Queues)
	program, link := programPin(s.product.Pins()), linkPin(s.product.Pins(), host.Index)
	r.watch.observer, err = observe.BeforePinned(program, link, uint32(max(pairs, observe.DefaultFlows)))
	if err != nil {
		return fmt.Errorf("observe the nic: %w", err)
	}
	r.watch.before, err = s.counters(ctx)
	return err
}

// stopWitnesses ends the watch when no packet is under way any more, and records what was seen.
func (r *armRun) stopWitnesses(ctx context.Context) error {
	last, err := r.quiet(ctx)
	if err != nil {
		return err
	}
	d := last.since(r.watch.before)
	r.record.Reasons, r.record.Seen, r.record.Dropped, r.record.LinkDropped = d.reasons, d.frames, d.dropped, d.linkDropped
	if err := r.readCaptures(); err != nil {
		return err
	}
	return r.readObserver()
}

const (
	// quietWithin is how long the last packets of an arm may be under way.
	quietWithin = 2 * time.Second
	// quiet is for how many readings in a row, a tick apart, no counter may change.
	quiet = 3
	tick  = 10 * time.Millisecond
)

// quiet waits until no counter changes any more and returns the counters. Clients and
// replicas have closed by now: the last packets take microseconds. If they take longer than quietWithin
// the record shows counts that differ.
func (r *armRun) quiet(ctx context.Context) (last counters, err error) {
	late := time.After(quietWithin)
	again := time.NewTicker(tick)
	defer again.Stop()
	last, err = r.cluster.counters(ctx)
	for same := 0; err == nil && same < quiet; {
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-late:
			return last, nil
		case <-again.C:
		}
		var now counters
		now, err = r.cluster.counters(ctx)
		same++
		if now.frames != last.frames || now.packets() != last.packets() {
			same = 0
		}
		last = now
	}
	return last, err
}

func (r *armRun) readCaptures() error {
	for i, c := range r.watch.captures {
		captured, err := stop(c)
		if err != nil {
			r.watch.captures = r.watch.captures[i+1:]
			return err
		}
		r.record.Captures = append(r.record.Captures, captured)
		for _, f := range captured.Flows {
			// The load balancer sent what a replica receives; the rest comes to the load balancer.
			if f.Flow.Destination.Addr() != ReplicaAddress(i).Addr() {
				r.record.Seen += f.Packets
			}
		}
	}
	r.watch.captures = nil
	return nil
}

func (r *armRun) readObserver() (err error) {
	if r.record.Observed, err = r.watch.observer.Flows(); err != nil {
		return err
	}
	totals, err := r.watch.observer.Totals()
	if err != nil {
		return err
	}
	r.record.Missed = totals.TableFull
	err = r.watch.observer.Close()
	r.watch.observer = nil
	return err
}

// close ends what is still watching and discards what it saw.
func (w *witnesses) close() error {
	var all []error
	for _, c := range w.captures {
		_, _, err := c.Stop()
		all = append(all, err)
	}
	w.captures = nil
	if w.observer != nil {
		all = append(all, w.observer.Close())
		w.observer = nil
	}
	return errors.Join(all...)
}
