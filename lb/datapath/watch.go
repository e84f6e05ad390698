package datapath

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
)

// debounce is how long changes of routes and links are gathered before next hops are resolved again: they
// come in bursts.
const debounce = 50 * time.Millisecond

// again is how long to wait before another attempt to subscribe.
const again = time.Second

// watch keeps next hops up to date with the kernel's routes, links and neighbours.
type watch struct {
	stopped chan struct{}
	done    sync.WaitGroup
}

// news are subscriptions to messages about what next hops depend on. When the kernel ends a subscription (its
// buffer overflowed), the channel is closed.
type news struct {
	neighbours chan netlink.NeighUpdate
	routes     chan netlink.RouteUpdate
	links      chan netlink.LinkUpdate
	done       chan struct{}
	// ports are the links as of the messages read so far.
	ports ports
}

func (d *Datapath) subscribe() (*news, error) {
	n := &news{
		neighbours: make(chan netlink.NeighUpdate, 1024),
		routes:     make(chan netlink.RouteUpdate, 1024),
		links:      make(chan netlink.LinkUpdate, 1024),
		done:       make(chan struct{}),
		ports:      ports{},
	}
	if err := d.hops.inside(n.open); err != nil {
		n.end()
		return nil, fmt.Errorf("listen for changes of the network: %w", err)
	}
	links, err := d.hops.netlink.LinkList()
	if err != nil {
		n.end()
		return nil, fmt.Errorf("list the links: %w", err)
	}
	for _, l := range links {
		n.ports[l.Attrs().Index] = portOf(l.Attrs())
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

// openedOrClosed closes the channel of a subscription that failed: nobody else does.
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

// watchHops subscribes first and then resolves everything once, so that no change is missed.
func (d *Datapath) watchHops() error {
	if d.options.manualClock {
		return nil
	}
	n, err := d.subscribe()
	if err != nil {
		return err
	}
	d.watch = &watch{stopped: make(chan struct{})}
	d.watch.done.Go(func() { d.listen(n) })
	return d.refresh(everything())
}

func (w *watch) stop() {
	close(w.stopped)
	w.done.Wait()
}

// listen follows the messages until the watch is stopped, and subscribes again when the kernel lost some.
func (d *Datapath) listen(n *news) {
	for d.follow(n) {
		n.end()
		d.options.Logger.Warn("lost count of the changes of the network, looking at everything anew")
		for n = nil; n == nil; {
			select {
			case <-d.watch.stopped:
				return
			case <-time.After(again):
			}
			n, _ = d.subscribe()
		}
		d.tables.invalidateFIBCache()
		d.refreshOrLog(everything())
	}
	n.end()
}

// follow returns true when a subscription ended, false when the watch was stopped. It acts on messages about
// neighbours at once, on those about routes and links after the debounce time.
func (d *Datapath) follow(n *news) bool {
	var since changes
	var settled <-chan time.Time
	for {
		select {
		case <-d.watch.stopped:
			return false
		case u, open := <-n.neighbours:
			if !open {
				return true
			}
			d.tables.invalidateFIBCache()
			d.refreshOrLog(n.more(u))
		case u, open := <-n.routes:
			if !open {
				return true
			}
			d.tables.invalidateFIBCache()
			since.route(u)
		case u, open := <-n.links:
			if !open {
				return true
			}
			d.tables.invalidateFIBCache()
			since.link(u, n.ports)
		case <-settled:
			d.refreshOrLog(since)
			since, settled = changes{}, nil
		}
		if settled == nil && !since.empty() {
			settled = time.After(debounce)
		}
	}
}

// more returns a message about a neighbour together with all that have come since.
func (n *news) more(u netlink.NeighUpdate) (c changes) {
	c.neighbour(u)
	for {
		select {
		case u, open := <-n.neighbours:
			if !open {
				return c // the next to read hears of it
			}
			c.neighbour(u)
		default:
			return c
		}
	}
}

func (d *Datapath) refreshOrLog(c changes) {
	if err := d.refresh(c); err != nil {
		d.options.Logger.Error("refresh next hops", "error", err)
	}
}
