package engine

import (
	"errors"
	"slices"
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
	// Services are the names of those that it is about, namedServices of them at most.
	Services []string
	News     News
}

// namedServices is how many services an event names.
const namedServices = 100

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

// HealthChanged: something else is known of the health of a replica than before.
type HealthChanged struct {
	Service string
	Endpoint
	Before, After HealthStatus
	Reason        string
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
func (HealthChanged) news()     {}
func (InterfaceMissing) news()  {}
func (InterfaceAttached) news() {}
func (OutOfSync) news()         {}
func (InSync) news()            {}
func (Network) news()           {}

const (
	// keptEvents is how many events at least can be asked for later, once there were as many.
	keptEvents = 2048
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
func (e *Engine) Subscribe() *Subscription { return e.events.subscribe() }

// EventsAfter returns the events after the one of a number that are kept, in order, the number of those that are not kept any
// more, and a channel that is closed when there are more. A number that has not come yet is taken for the last.
func (e *Engine) EventsAfter(number uint64) (kept []Event, lost uint64, more <-chan struct{}) {
	return e.events.after(number)
}

// Epoch tells the events of this engine from those of earlier ones, which were numbered from 1, too. It increases.
func (e *Engine) Epoch() uint64 { return e.epoch }

// hub hands events on to subscribers, and waits for none of them. lb/fanout does not fit: there a slow watcher
// loses samples and goes on. A subscriber must not miss an event, so a slow one is dropped and told.
type hub struct {
	mu   sync.Mutex
	kept []Event // the last ones, in order
	last uint64
	subs map[*Subscription]struct{}
	more chan struct{} // nil: nobody waits
}

func (h *hub) subscribe() *Subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &Subscription{hub: h, events: make(chan Event, eventBuffer)}
	if h.subs == nil {
		h.subs = map[*Subscription]struct{}{}
	}
	h.subs[s] = struct{}{}
	return s
}

func (h *hub) after(number uint64) (kept []Event, lost uint64, more <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.more == nil {
		h.more = make(chan struct{})
	}
	behind := h.last - min(number, h.last)
	n := min(behind, uint64(len(h.kept)))
	return slices.Clone(h.kept[uint64(len(h.kept))-n:]), behind - n, h.more
}

func (h *hub) publish(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	e.Number = h.last
	if len(h.kept) == 2*keptEvents {
		h.kept = h.kept[:copy(h.kept, h.kept[keptEvents:])]
	}
	h.kept = append(h.kept, e)
	if h.more != nil {
		close(h.more)
		h.more = nil
	}
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
