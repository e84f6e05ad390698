package oracle

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"lbctl/lb"
	"lbctl/lb/fanout"
	"lbctl/rss"
)

// Datapath is the reference datapath behind lb.Dataplane, in memory. Process gives it frames. It is a handle:
// Close closes the handle, not the tables. It is safe for concurrent use.
//
// After Close every method but Process, Reopen and Close returns an error that wraps os.ErrClosed.
type Datapath struct {
	tables    *tables
	closed    atomic.Bool
	publisher fanout.Publisher
	events    chan lb.Event
}

var _ lb.Dataplane = (*Datapath)(nil)

// Config is what a Datapath is made of. The zero value is a datapath with the default
// limits and key, without interfaces and without routes.
type Config struct {
	// Limits are lb.DefaultLimits when zero.
	Limits lb.Limits
	// Key is the RSS key of lb.ToeplitzHash, rss.MicrosoftKey when empty.
	Key rss.Key
	// NoService is what becomes of packets to the address of a VIP that no service takes.
	NoService lb.NoService
	// Interfaces are those that can be attached: their index by name.
	Interfaces map[string]int
	// MTUs are the greatest IP packets of interfaces, by index.
	MTUs map[int]int
	// Routes are none when nil.
	Routes Routes
	// Unfit are addresses that no replica can have, and why.
	Unfit map[netip.Addr]string
	// Now is the clock of samples, the machine's when nil.
	Now func() time.Time
}

// New makes an empty datapath and the first handle on it.
func New(c Config) *Datapath {
	t := &tables{
		limits:   c.Limits,
		key:      slices.Clone(c.Key),
		rejects:  c.NoService == lb.RejectNoService,
		routes:   c.Routes,
		links:    maps.Clone(c.Interfaces),
		mtus:     maps.Clone(c.MTUs),
		services: map[lb.VIP]*service{}, index: lb.NewIndex(), fragments: map[FragmentKey]FragmentPorts{},
		attached: map[string]lb.Interface{}, unfit: maps.Clone(c.Unfit),
		counters: emptyCounters(),
		now:      c.Now,
	}
	if t.limits == (lb.Limits{}) {
		t.limits = lb.DefaultLimits
	}
	if len(t.key) == 0 {
		t.key = rss.MicrosoftKey()
	}
	if t.routes == nil {
		t.routes = nowhere{}
	}
	if t.now == nil {
		t.now = time.Now
	}
	return t.open()
}

// open returns a new handle.
func (t *tables) open() *Datapath {
	m := &Datapath{tables: t, events: make(chan lb.Event)}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.publishers = append(t.publishers, &m.publisher)
	return m
}

func emptyCounters() lb.Counters {
	c := lb.Counters{
		Reasons:  map[lb.Reason]lb.Count{},
		Services: map[lb.VIP]lb.Count{},
		Replicas: map[lb.VIP]map[netip.AddrPort]lb.Count{},
		Flows:    map[lb.VIP]map[netip.AddrPort]lb.FlowCount{},
	}
	for _, r := range lb.Reasons() {
		c.Reasons[r] = lb.Count{}
	}
	return c
}

// Services implements lb.Dataplane.
func (m *Datapath) Services() ([]lb.Service, error) {
	done, err := m.begin("list services")
	if err != nil {
		return nil, err
	}
	defer done()
	return m.tables.list(), nil
}

// list returns copies of the services, sorted by VIP.
func (t *tables) list() []lb.Service {
	list := make([]lb.Service, 0, len(t.services))
	for _, s := range t.services {
		list = append(list, s.Clone())
	}
	slices.SortFunc(list, func(a, b lb.Service) int { return a.VIP.Compare(b.VIP) })
	return list
}

// SetService implements lb.Dataplane. Errors: lb.ErrInvalid (lb.Problems), lb.ErrConflict, lb.ErrFull.
func (m *Datapath) SetService(ctx context.Context, s lb.Service) error {
	done, err := m.beginChange(ctx, "set service")
	if err != nil {
		return err
	}
	defer done()
	if err := m.tables.admit(s); err != nil {
		return fmt.Errorf("set service %v: %w", s.VIP, err)
	}
	m.tables.set(s)
	return nil
}

// RemoveService implements lb.Dataplane.
func (m *Datapath) RemoveService(ctx context.Context, v lb.VIP) error {
	done, err := m.beginChange(ctx, "remove service")
	if err != nil {
		return err
	}
	defer done()
	if _, found := m.tables.services[v]; !found {
		return fmt.Errorf("remove service %v: %w", v, lb.ErrNotFound)
	}
	m.tables.remove(v)
	return nil
}

// Counters implements lb.Dataplane. The counts of a service end when it is removed, those of a replica when it
// leaves its service.
func (m *Datapath) Counters() (lb.Counters, error) {
	done, err := m.begin("read counters")
	if err != nil {
		return lb.Counters{}, err
	}
	defer done()
	return m.tables.snapshot(), nil
}

// ReasonCounts implements lb.Dataplane.
func (m *Datapath) ReasonCounts() (lb.Counters, error) {
	counters, err := m.Counters()
	return lb.Counters{Reasons: counters.Reasons, Losses: counters.Losses, LossesUnknown: counters.LossesUnknown}, err
}

// ReplicaCounts implements lb.Dataplane.
func (m *Datapath) ReplicaCounts(of []lb.Service) ([][]lb.Count, error) {
	counters, err := m.Counters()
	return each(of, func(v lb.VIP, replica netip.AddrPort) lb.Count { return counters.Replicas[v][replica] }), err
}

// FlowCounts implements lb.Dataplane.
func (m *Datapath) FlowCounts(of []lb.Service) ([][]lb.FlowCount, error) {
	counters, err := m.Counters()
	return each(of, func(v lb.VIP, replica netip.AddrPort) lb.FlowCount { return counters.Flows[v][replica] }), err
}

// each returns what there is of each replica of some services.
func each[E any](of []lb.Service, what func(lb.VIP, netip.AddrPort) E) [][]E {
	all := make([][]E, len(of))
	for n, s := range of {
		all[n] = make([]E, len(s.Replicas))
		for k, r := range s.Replicas {
			all[n][k] = what(s.VIP, r.Address)
		}
	}
	return all
}

// Events implements lb.Dataplane. Nothing happens in a network that does not exist.
func (m *Datapath) Events() <-chan lb.Event { return m.events }

// Close implements lb.Dataplane. It may be called twice.
func (m *Datapath) Close() error {
	if m.closed.Swap(true) {
		return nil
	}
	close(m.events)
	t := m.tables
	t.mu.Lock()
	defer t.mu.Unlock()
	t.publishers = slices.DeleteFunc(t.publishers, func(p *fanout.Publisher) bool { return p == &m.publisher })
	m.publisher.UnsubscribeAll()
	return nil
}

// Reopen returns a new handle on the same tables, as a daemon gets that starts again.
func (m *Datapath) Reopen() *Datapath { return m.tables.open() }

// begin locks the tables, unless the handle is closed; done unlocks them.
func (m *Datapath) begin(what string) (done func(), err error) {
	m.tables.mu.Lock()
	if m.closed.Load() {
		m.tables.mu.Unlock()
		return nil, fmt.Errorf("%s: %w", what, os.ErrClosed)
	}
	return m.tables.mu.Unlock, nil
}

// beginChange is begin, unless the context has ended.
func (m *Datapath) beginChange(ctx context.Context, what string) (done func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return m.begin(what)
}
