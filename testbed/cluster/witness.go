package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"lbctl/lb"
	"lbctl/rss/observe"
	"lbctl/testbed/capture"
)

// programPin and linkPin are the paths at which the daemon pins its XDP program and that program's
// link to an interface: lb/datapath promises them to the next daemon.
func programPin(dir string) string { return filepath.Join(dir, "lb") }

func linkPin(dir string, index int) string { return filepath.Join(dir, fmt.Sprintf("link_%d", index)) }

// Sighting is what was seen of the packets of a cluster for a time.
type Sighting struct {
	// Captures are those of the replicas' links, both directions.
	Captures []Capture
	// Observed is what the kernel's observer saw on the NIC; Missed are packets for which it had no room.
	Observed []observe.Flow
	Missed   uint64
	// Reasons are packets by reason, counted by the load balancer.
	Reasons map[lb.Reason]uint64
	// Seen counts the frames that came to the load balancer's interfaces, without its help: those that the NIC
	// delivered and those that were captured leaving the replicas.
	Seen uint64
	// Dropped counts frames that found a ring of the NIC full; LinkDropped those that the load balancer sent and that
	// found the queue of a replica's link full.
	Dropped, LinkDropped uint64
}

// Watch returns what was seen of the packets to and from replicas while f ran, and until none was under way any more. F ends
// the connections that it opens, connections at most. The cluster must have a NIC.
func (s *Cluster) Watch(ctx context.Context, connections int, f func(context.Context) error) (Sighting, error) {
	if s.nic == nil {
		return Sighting{}, errors.New("watch: the cluster has no nic")
	}
	w := &witnesses{cluster: s}
	defer func() {
		if err := w.close(); err != nil {
			s.bed.Log().Warn("end witnesses", "error", err)
		}
	}()
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return w.start(ctx, connections) }, f, w.stop,
	} {
		err := ctx.Err()
		if err == nil {
			err = step(ctx)
		}
		if err != nil {
			return Sighting{}, err
		}
	}
	return w.seen, nil
}

// witnesses watch a cluster.
type witnesses struct {
	cluster  *Cluster
	seen     Sighting
	captures []*capture.Capture
	observer *observe.Observer
	// before is what had been counted when the watch began.
	before counters
}

// start starts the captures on the replicas' links and the observer before the
// load balancer's program on the NIC, and reads the counters.
func (w *witnesses) start(ctx context.Context, connections int) error {
	s := w.cluster
	for _, l := range s.links {
		c, err := capture.Start(l, capture.Options{})
		if err != nil {
			return err
		}
		w.captures = append(w.captures, c)
	}
	host, err := s.nic.Host()
	if err != nil {
		return err
	}
	// A sprayed flow is on every queue; room for twice as many is room for all.
	pairs := 2 * connections * len(s.nic.Stats().Queues)
	program, link := programPin(s.product.Pins()), linkPin(s.product.Pins(), host.Index)
	w.observer, err = observe.BeforePinned(program, link, uint32(max(pairs, observe.DefaultFlows)))
	if err != nil {
		return fmt.Errorf("observe the nic: %w", err)
	}
	w.before, err = s.counters(ctx)
	return err
}

// stop ends the watch when no packet is under way any more, and records what was seen.
func (w *witnesses) stop(ctx context.Context) error {
	last, err := w.quiet(ctx)
	if err != nil {
		return err
	}
	d := last.since(w.before)
	w.seen.Reasons, w.seen.Seen, w.seen.Dropped, w.seen.LinkDropped = d.reasons, d.frames, d.dropped, d.linkDropped
	if err := w.readCaptures(); err != nil {
		return err
	}
	return w.readObserver()
}

const (
	// quietWithin is how long the last packets may be under way.
	quietWithin = 2 * time.Second
	// quiet is for how many readings in a row, a tick apart, no counter may change.
	quiet = 3
	tick  = 10 * time.Millisecond
)

// quiet waits until no counter changes any more and returns the counters. Clients and
// replicas have closed by now: the last packets take microseconds. If they take longer than quietWithin
// the record shows counts that differ.
func (w *witnesses) quiet(ctx context.Context) (last counters, err error) {
	late := time.After(quietWithin)
	again := time.NewTicker(tick)
	defer again.Stop()
	last, err = w.cluster.counters(ctx)
	for same := 0; err == nil && same < quiet; {
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-late:
			return last, nil
		case <-again.C:
		}
		var now counters
		now, err = w.cluster.counters(ctx)
		same++
		if now.frames != last.frames || now.packets() != last.packets() {
			same = 0
		}
		last = now
	}
	return last, err
}

func (w *witnesses) readCaptures() error {
	for i, c := range w.captures {
		captured, err := stop(c)
		if err != nil {
			w.captures = w.captures[i+1:]
			return err
		}
		w.seen.Captures = append(w.seen.Captures, captured)
		for _, f := range captured.Flows {
			// The load balancer sent what a replica receives; the rest comes to the load balancer.
			if f.Flow.Destination.Addr() != ReplicaAddress(i).Addr() {
				w.seen.Seen += f.Packets
			}
		}
	}
	w.captures = nil
	return nil
}

func (w *witnesses) readObserver() (err error) {
	if w.seen.Observed, err = w.observer.Flows(); err != nil {
		return err
	}
	totals, err := w.observer.Totals()
	if err != nil {
		return err
	}
	w.seen.Missed = totals.TableFull
	err = w.observer.Close()
	w.observer = nil
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
