package datapath

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
)

// settle is how long changes of routes and links are gathered before all ways are
// resolved anew: they come in bursts.
const settle = 50 * time.Millisecond

// again is how long to wait before listening anew where that failed.
const again = time.Second

// watch keeps next hops up to date with the kernel's routes, links and neighbours.
type watch struct {
	done chan struct{}
	over sync.WaitGroup
}

// news are subscriptions to what next hops depend on. A subscription that the
// kernel ends (its buffer overflowed) closes its channel.
type news struct {
	neighbours chan netlink.NeighUpdate
	routes     chan netlink.RouteUpdate
	links      chan netlink.LinkUpdate
	done       chan struct{}
}

func (d *Datapath) subscribe() (*news, error) {
	n := &news{
		neighbours: make(chan netlink.NeighUpdate, 1024),
		routes:     make(chan netlink.RouteUpdate, 1024),
		links:      make(chan netlink.LinkUpdate, 1024),
		done:       make(chan struct{}),
	}
	if err := d.hops.inside(n.open); err != nil {
		n.end()
		return nil, fmt.Errorf("listen for changes of the network: %w", err)
	}
	return n, nil
}

// open subscribes to the namespace of the thread.
func (n *news) open() error {
	return errors.Join(
		openedOrClosed(n.neighbours, netlink.NeighSubscribe(n.neighbours, n.done)),
		openedOrClosed(n.routes, netlink.RouteSubscribe(n.routes, n.done)),
		openedOrClosed(n.links, netlink.LinkSubscribe(n.links, n.done)),
	)
}

// openedOrClosed closes the channel of a subscription that did not come about: nobody else will.
func openedOrClosed[T any](updates chan T, err error) error {
	if err != nil {
		close(updates)
	}
	return err
}

// end ends the subscriptions and returns when their goroutines are gone.
func (n *news) end() {
	close(n.done)
	for range n.neighbours {
	}
	for range n.routes {
	}
	for range n.links {
	}
}

// watchHops starts to listen, and then resolves everything once: nothing that
// changes in between is missed.
func (d *Datapath) watchHops() error {
	if d.options.still {
		return nil
	}
	n, err := d.subscribe()
	if err != nil {
		return err
	}
	d.watch = &watch{done: make(chan struct{})}
	d.watch.over.Go(func() { d.listen(n) })
	return d.refresh(nil)
}

func (w *watch) stop() {
	close(w.done)
	w.over.Wait()
}

// listen follows the news until the watch is over, and subscribes anew when the kernel lost some.
func (d *Datapath) listen(n *news) {
	for d.follow(n) {
		n.end()
		d.options.Logger.Warn("lost count of the changes of the network, looking at everything anew")
		for n = nil; n == nil; {
			select {
			case <-d.watch.done:
				return
			case <-time.After(again):
			}
			n, _ = d.subscribe()
		}
		d.tables.forgetWays()
		d.refreshed(nil)
	}
	n.end()
}

// follow returns true when a subscription ended, false when the watch is over.
func (d *Datapath) follow(n *news) bool {
	timer := time.NewTimer(settle)
	defer timer.Stop()
	for {
		ok := true
		select {
		case <-d.watch.done:
			return false
		case u, open := <-n.neighbours:
			if ok = open; ok {
				d.tables.forgetWays()
				a, _ := netip.AddrFromSlice(u.IP)
				d.refreshed(&neighbour{index: u.LinkIndex, address: a.Unmap()})
			}
		case _, ok = <-n.routes:
			d.tables.forgetWays()
			timer.Reset(settle)
		case _, ok = <-n.links:
			d.tables.forgetWays()
			timer.Reset(settle)
		case <-timer.C:
			d.refreshed(nil)
		}
		if !ok {
			return true
		}
	}
}

func (d *Datapath) refreshed(by *neighbour) {
	if err := d.refresh(by); err != nil {
		d.options.Logger.Error("refresh next hops", "error", err)
	}
}
