package nexthop

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// debounce is how long messages about routes and links are gathered before they are told: they come in bursts.
const debounce = 50 * time.Millisecond

// waiting is how many bytes of messages about neighbours, or about routes, the kernel keeps for us. One takes it almost a kilobyte: a
// thousand hosts that are all probed at once, or a routing daemon that starts, overflow the socket's own 200 KB.
const waiting = 4 << 20

// retry is how long to wait before subscribing again where that failed.
const retry = time.Second

// Follower is told what has changed in a network. Its methods are called one after the other.
type Follower interface {
	// Changed is called at once on every message about neighbours, routes, rules, next hop objects or links.
	Changed()
	// Link is called at once when a link has appeared, has changed in what next hops depend on, was renamed, or is gone.
	Link(index int, name string, gone bool)
	// Refresh is called with changes of what next hops depend on: those of neighbours at once, the others after debounce.
	Refresh(Changes)
}

// Watcher follows the kernel's neighbours, routes, rules, next hop objects and links.
type Watcher struct {
	network  *Network
	follower Follower
	log      *slog.Logger
	done     chan struct{}
	running  sync.WaitGroup
}

// Watch subscribes to the changes of the network. What changes from the call on is told until Stop. Where the kernel loses
// messages, everything counts as changed.
func Watch(n *Network, f Follower, log *slog.Logger) (*Watcher, error) {
	news, err := n.subscribe()
	if err != nil {
		return nil, err
	}
	w := &Watcher{network: n, follower: f, log: log, done: make(chan struct{})}
	w.running.Go(func() { w.run(news) })
	return w, nil
}

// Stop returns when the follower will not be called any more.
func (w *Watcher) Stop() {
	close(w.done)
	w.running.Wait()
}

// run follows until Stop, and subscribes again when the kernel lost messages.
func (w *Watcher) run(n *news) {
	for w.follow(n) {
		n.end()
		w.log.Warn("the kernel lost messages about the network, resolving all next hops")
		for n = nil; n == nil; {
			select {
			case <-w.done:
				return
			case <-time.After(retry):
			}
			n, _ = w.network.subscribe()
		}
		w.follower.Changed()
		w.follower.Refresh(Everything())
	}
	n.end()
}

// follow returns true when a subscription ended, false on Stop.
func (w *Watcher) follow(n *news) (lost bool) {
	var since Changes
	var gathered <-chan time.Time
	for {
		select {
		case <-w.done:
			return false
		case u, open := <-n.neighbours:
			if !open {
				return true
			}
			w.follower.Changed()
			w.follower.Refresh(n.more(u))
		case u, open := <-n.routes:
			if !open {
				return true
			}
			w.follower.Changed()
			since.addRoute(u)
		case _, open := <-n.rules:
			if !open {
				return true
			}
			w.follower.Changed()
			since.all = true
		case u, open := <-n.links:
			if !open {
				return true
			}
			w.follower.Changed()
			if since.addLink(u, n.ports) {
				a := u.Attrs()
				w.follower.Link(a.Index, a.Name, u.Header.Type == unix.RTM_DELLINK)
			}
		case <-gathered:
			w.follower.Refresh(since)
			since, gathered = Changes{}, nil
		}
		if gathered == nil && !since.empty() {
			gathered = time.After(debounce)
		}
	}
}

// news are subscriptions to what next hops depend on. A subscription that the
// kernel ends (its buffer overflowed) closes its channel.
type news struct {
	neighbours chan netlink.NeighUpdate
	routes     chan netlink.RouteUpdate
	// rules has a value for each message about rules or next hop objects: any route may be another one then.
	rules chan struct{}
	links chan netlink.LinkUpdate
	done  chan struct{}
	// ports are the links as the messages that were read say.
	ports ports
}

func (n *Network) subscribe() (*news, error) {
	s := &news{
		neighbours: make(chan netlink.NeighUpdate, 1024),
		routes:     make(chan netlink.RouteUpdate, 1024),
		rules:      make(chan struct{}, 1024),
		links:      make(chan netlink.LinkUpdate, 1024),
		done:       make(chan struct{}),
		ports:      ports{},
	}
	if err := n.Inside(s.open); err != nil {
		s.end()
		return nil, fmt.Errorf("subscribe to changes of the network: %w", err)
	}
	links, err := n.netlink.LinkList()
	if err != nil {
		s.end()
		return nil, fmt.Errorf("list the links: %w", err)
	}
	for _, l := range links {
		s.ports[l.Attrs().Index] = portOf(l.Attrs())
	}
	return s, nil
}

// open subscribes in the namespace of the thread.
func (n *news) open() error {
	return errors.Join(
		openedOrClosed(n.neighbours, netlink.NeighSubscribeWithOptions(n.neighbours, n.done,
			netlink.NeighSubscribeOptions{ReceiveBufferSize: waiting, ReceiveBufferForceSize: true})),
		openedOrClosed(n.routes, netlink.RouteSubscribeWithOptions(n.routes, n.done,
			netlink.RouteSubscribeOptions{ReceiveBufferSize: waiting, ReceiveBufferForceSize: true})),
		openedOrClosed(n.rules, ruleSubscribe(n.rules, n.done)),
		openedOrClosed(n.links, netlink.LinkSubscribe(n.links, n.done)),
	)
}

// openedOrClosed closes the channel of a subscription that failed: nobody else will.
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
	for range n.rules {
	}
	for range n.links {
	}
}

// ruleSubscribe tells of every message about rules and next hop objects, as netlink.RouteSubscribe does of those about routes.
func ruleSubscribe(updates chan<- struct{}, done <-chan struct{}) error {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_NEXTHOP)
	if err != nil {
		return err
	}
	go func() {
		<-done
		s.Close()
	}()
	go func() {
		defer close(updates)
		for {
			messages, _, err := s.Receive()
			if err != nil {
				return
			}
			for range messages {
				updates <- struct{}{}
			}
		}
	}()
	return nil
}

// more returns a message about a neighbour with all that wait behind it.
func (n *news) more(u netlink.NeighUpdate) (c Changes) {
	c.addNeighbour(u)
	for {
		select {
		case u, open := <-n.neighbours:
			if !open {
				return c // the next read finds it closed
			}
			c.addNeighbour(u)
		default:
			return c
		}
	}
}
