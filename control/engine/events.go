package engine

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"lbctl/lb"
)

// Event is something that has happened. Numbers count from 1, by one, since the engine's start.
type Event struct {
	Number uint64
	Time   time.Time
	// Revision is that of the intent afterwards.
	Revision uint64
	News     News
}

// News is what has happened: one of the types below.
type News interface{ news() }

// IntentChanged: a revision was stored.
type IntentChanged struct{ Actor, Reason string }

// ReplicaChanged: the effective state of a replica has changed, and the intent has not.
type ReplicaChanged struct {
	Service string
	Endpoint
	Before, After lb.ReplicaState
	Why           string
}

// InterfaceMissing: a wanted interface is not attached as wanted, or for another reason than before.
type InterfaceMissing struct{ Interface, Reason string }

// InterfaceAttached: a wanted interface that was missing is attached as wanted.
type InterfaceAttached struct{ Interface string }

// OutOfSync: the datapath may not forward as it should.
type OutOfSync struct{ Reason string }

// InSync: the datapath forwards as it should again.
type InSync struct{}

// Network: a link or a next hop has changed.
type Network struct{ lb.Event }

func (IntentChanged) news()     {}
func (ReplicaChanged) news()    {}
func (InterfaceMissing) news()  {}
func (InterfaceAttached) news() {}
func (OutOfSync) news()         {}
func (InSync) news()            {}
func (Network) news()           {}

const (
	// keptEvents is how many events can be asked for later.
	keptEvents = 1024
	// eventBuffer is how many events wait for a subscriber before it is dropped.
	eventBuffer = 256
)

// ErrSlow: the subscriber was dropped because it did not read its events in time.
var ErrSlow = errors.New("events came faster than they were read")

// Subscription is a stream of events for one subscriber. It is safe for concurrent use.
type Subscription struct {
	hub    *hub
	events chan Event
	err    error // under hub.mu
}

// Events returns the events in order. It is closed after Close, or when the subscriber is dropped.
func (s *Subscription) Events() <-chan Event { return s.events }

// Err returns ErrSlow when the subscriber was dropped, nil before that and after Close.
func (s *Subscription) Err() error {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return s.err
}

// Close ends the stream. A second call does nothing.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.drop(s, nil)
}

// Subscribe returns the events from now on.
func (e *Engine) Subscribe() *Subscription {
	s, _ := e.events.subscribe(func(last uint64) uint64 { return last }) // all after the last are kept
	return s
}

// SubscribeAfter returns the events after the one of a number. Errors: lb.ErrNotFound when there is no event of
// that number, or those after it are not kept any more.
func (e *Engine) SubscribeAfter(number uint64) (*Subscription, error) {
	return e.events.subscribe(func(uint64) uint64 { return number })
}

// hub hands events on to subscribers, and waits for none of them. lb/fanout does not fit: there a slow watcher
// loses samples and goes on. A subscriber must not miss an event, so a slow one is dropped and told.
type hub struct {
	mu   sync.Mutex
	kept []Event // the last ones, in order
	last uint64
	subs map[*Subscription]struct{}
}

func (h *hub) subscribe(after func(last uint64) uint64) (*Subscription, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	number := after(h.last)
	if number > h.last || h.last-number > uint64(len(h.kept)) {
		return nil, fmt.Errorf("events after number %d: %w: the last is %d, and %d are kept", number, lb.ErrNotFound, h.last, len(h.kept))
	}
	missed := h.kept[len(h.kept)-int(h.last-number):]
	s := &Subscription{hub: h, events: make(chan Event, len(missed)+eventBuffer)}
	for _, e := range missed {
		s.events <- e
	}
	if h.subs == nil {
		h.subs = map[*Subscription]struct{}{}
	}
	h.subs[s] = struct{}{}
	return s, nil
}

func (h *hub) publish(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	e.Number = h.last
	if len(h.kept) == keptEvents {
		h.kept = append(h.kept[:0:0], h.kept[keptEvents/2:]...)
	}
	h.kept = append(h.kept, e)
	for s := range h.subs {
		select {
		case s.events <- e:
		default:
			h.drop(s, ErrSlow)
		}
	}
}

// drop ends a stream. The caller holds mu.
func (h *hub) drop(s *Subscription, why error) {
	if _, is := h.subs[s]; is {
		delete(h.subs, s)
		s.err = why
		close(s.events)
	}
}
