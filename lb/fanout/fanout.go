// Package fanout hands the samples of a datapath to its monitors, each by a filter of its own, and
// never waits for any of them.
package fanout

import (
	"slices"
	"sync"
	"sync/atomic"

	"lbctl/lb"
)

// Publisher has the subscriptions to the samples of one datapath. The zero value has none. It is safe
// for concurrent use.
type Publisher struct {
	mu            sync.Mutex
	subscriptions []*Subscription
}

// Subscription is the lb.Monitor of one subscriber.
type Subscription struct {
	filter  lb.Filter
	close   func(*Subscription) error
	samples chan lb.Sample
	lost    atomic.Uint64
	// wanted is how many samples Every has counted.
	wanted uint64
}

var _ lb.Monitor = (*Subscription)(nil)

// Subscribe adds a subscription. Its Close calls the function close, which must call Unsubscribe.
func (p *Publisher) Subscribe(f lb.Filter, close func(*Subscription) error) *Subscription {
	f.Reasons, f.Every = slices.Clone(f.Reasons), max(f.Every, 1)
	s := &Subscription{filter: f, close: close, samples: make(chan lb.Sample, lb.SampleBuffer)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subscriptions = append(p.subscriptions, s)
	return s
}

// Unsubscribe ends a subscription and closes its channel. It returns false if the subscription was not one
// of the publisher's any more.
func (p *Publisher) Unsubscribe(s *Subscription) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := slices.Index(p.subscriptions, s)
	if at < 0 {
		return false
	}
	p.subscriptions = slices.Delete(p.subscriptions, at, at+1)
	close(s.samples)
	return true
}

// UnsubscribeAll ends all subscriptions.
func (p *Publisher) UnsubscribeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.subscriptions {
		close(s.samples)
	}
	p.subscriptions = nil
}

// Empty reports whether there is no subscription.
func (p *Publisher) Empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.subscriptions) == 0
}

// Filter returns a filter of reasons and a service that lets through whatever a subscriber wants. Its Every is more than 1 only
// for a single subscriber, and one that wants all flows: among the packets of two, those of one may come at a fixed interval, and
// counting both together would select them all or none.
func (p *Publisher) Filter() lb.Filter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.subscriptions) == 1 && p.subscriptions[0].filter.Flow == (lb.FlowFilter{}) {
		return p.subscriptions[0].filter
	}
	f := lb.Filter{Every: 1}
	for n, s := range p.subscriptions {
		if n == 0 {
			f.Reasons, f.Service = slices.Clone(s.filter.Reasons), s.filter.Service
			continue
		}
		f.Reasons = either(f.Reasons, s.filter.Reasons)
		if f.Service != s.filter.Service {
			f.Service = lb.VIP{}
		}
	}
	return f
}

// either returns the reasons of two filters; none stands for all.
func either(a, b []lb.Reason) []lb.Reason {
	if len(a) == 0 || len(b) == 0 {
		return nil
	}
	return append(a, b...)
}

// Publish hands a sample to all subscribers that want it. It is one in `every` of the packets that Filter
// lets through.
func (p *Publisher) Publish(sample lb.Sample, every uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.subscriptions {
		s.send(sample, every)
	}
}

// Drop adds to the lost samples of all subscribers: these could not be published.
func (p *Publisher) Drop(samples uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.subscriptions {
		s.lost.Add(samples)
	}
}

// Samples implements lb.Monitor.
func (s *Subscription) Samples() <-chan lb.Sample { return s.samples }

// Lost implements lb.Monitor.
func (s *Subscription) Lost() uint64 { return s.lost.Load() }

// Close implements lb.Monitor.
func (s *Subscription) Close() error { return s.close(s) }

// send hands over a sample if it is wanted and there is room. The publisher has already selected one in
// `every`; the rest of the filter's Every is counted here.
func (s *Subscription) send(sample lb.Sample, every uint32) {
	if !s.filter.Wants(sample) {
		return
	}
	rest := max(s.filter.Every/max(every, 1), 1)
	if s.wanted++; (s.wanted-1)%uint64(rest) != 0 {
		return
	}
	select {
	case s.samples <- sample:
	default:
		s.lost.Add(1)
	}
}
