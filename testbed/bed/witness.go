package bed

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"lbctl/lb"
	"lbctl/rss/observe"
	"lbctl/testbed/capture"
)

// programPin and linkPin are the paths at which the daemon pins its XDP program and that program's
// link to an interface: what lb/datapath promises to the next daemon.
func programPin(dir string) string { return filepath.Join(dir, "lb") }

func linkPin(dir string, index int) string { return filepath.Join(dir, fmt.Sprintf("link_%d", index)) }

// witnesses watch one act. The zero value watches nothing.
type witnesses struct {
	captures []*capture.Capture
	observer *observe.Observer
	// What had been counted when the act began.
	reasons                      map[lb.Reason]uint64
	frames, dropped, linkDropped uint64
}

// startWitnesses starts the captures on the replicas' links and the observer before the
// load balancer's program on the NIC, and notes where the counters stand.
func (a *act) startWitnesses(ctx context.Context) error {
	for _, l := range a.stage.links {
		c, err := capture.Start(l, capture.Options{})
		if err != nil {
			return err
		}
		a.watch.captures = append(a.watch.captures, c)
	}
	host, err := a.stage.nic.Host()
	if err != nil {
		return err
	}
	// A sprayed flow is on every queue; room for twice as many is room for all.
	pairs := 2 * a.arm.Traffic.Connections * len(a.stage.nic.Stats().Queues)
	program, link := programPin(a.stage.product.Pins()), linkPin(a.stage.product.Pins(), host.Index)
	a.watch.observer, err = observe.BeforePinned(program, link, uint32(max(pairs, observe.DefaultFlows)))
	if err != nil {
		return fmt.Errorf("observe the nic: %w", err)
	}
	if a.watch.reasons, err = a.stage.reasons(ctx); err != nil {
		return err
	}
	a.watch.frames, a.watch.dropped = a.stage.delivered()
	a.watch.linkDropped, err = a.stage.dropped()
	return err
}

// finish ends the watch and enters what was seen.
func (a *act) finish() error {
	for i, c := range a.watch.captures {
		flows, stats, err := c.Stop()
		if err != nil {
			a.watch.captures = a.watch.captures[i+1:]
			return err
		}
		a.record.Captures = append(a.record.Captures, Capture{Flows: flows, Dropped: stats.Dropped})
		for _, f := range flows {
			// What a replica's host receives was sent by the load balancer; the rest comes to it.
			if f.Flow.Destination.Addr() != ReplicaAddress(i).Addr() {
				a.record.Seen += f.Packets
			}
		}
	}
	a.watch.captures = nil
	dropped, err := a.stage.dropped()
	if err != nil {
		return err
	}
	a.record.LinkDropped = dropped - a.watch.linkDropped
	return a.readObserver()
}

func (a *act) readObserver() (err error) {
	if a.record.Observed, err = a.watch.observer.Flows(); err != nil {
		return err
	}
	totals, err := a.watch.observer.Totals()
	if err != nil {
		return err
	}
	a.record.Missed = totals.TableFull
	err = a.watch.observer.Close()
	a.watch.observer = nil
	return err
}

// close ends what is still watching, without asking what it saw.
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
