package conditions

import (
	"context"
	"sync"
	"time"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/lb"
)

// Memory knows since when Programmed and Ready are as they are, as far as it has looked: when an event says that something has
// changed, now and then, and whenever somebody asks. It is safe for concurrent use.
type Memory struct {
	engine *engine.Engine
	mu     sync.Mutex
	known  map[condition]known
}

// condition names one: of a service, or of the node, whose VIP is zero.
type condition struct {
	of  lb.VIP
	typ string
}

type known struct {
	status string
	since  time.Time
}

const (
	// lookEvery is the least time between two looks at all conditions for events. It is also 20 times what the last took.
	lookEvery = time.Second
	// lookAnyway is the time to a look without an event: of replicas to which no packet gets no event tells.
	lookAnyway = 10 * time.Second
)

// NewMemory returns one that knows nothing yet.
func NewMemory(e *engine.Engine) *Memory { return &Memory{engine: e} }

// Observe returns the present state; its conditions say since when.
func (m *Memory) Observe() (State, error) { return m.look(m.engine.Time()) }

// look notes which conditions have changed, at a time.
func (m *Memory) look(at time.Time) (State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := observe(m.engine)
	if err != nil {
		return s, err
	}
	next := make(map[condition]known, 2*len(s.Now.Effective.Services)+2)
	note := func(of lb.VIP, c api.Condition) {
		name := condition{of, c.Type}
		is, had := m.known[name]
		if !had || is.status != c.Status {
			is = known{c.Status, at}
		}
		next[name] = is
	}
	for _, c := range s.Node() {
		note(lb.VIP{}, c)
	}
	for n, of := range s.Now.Effective.Services {
		programmed := s.programmed(n)
		note(of.VIP, programmed)
		note(of.VIP, s.ready(n, programmed))
	}
	m.known, s.memory = next, m
	return s, nil
}

// stamp says of conditions since when they are so, unless they have changed meanwhile.
func (m *Memory) stamp(of lb.VIP, all ...*api.Condition) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range all {
		if is := m.known[condition{of, c.Type}]; is.status == c.Status {
			since := is.since.UTC().Truncate(time.Millisecond)
			c.Since = &since
		}
	}
}

// Run looks until ctx ends.
func (m *Memory) Run(ctx context.Context) {
	news := m.engine.Subscribe()
	defer func() { news.Close() }()
	at := m.engine.Time()
	for {
		began := time.Now()
		m.look(at) // an error is that of the next request, too
		rest := time.NewTimer(max(lookEvery, 20*time.Since(began)))
		anyway := time.NewTimer(lookAnyway)
		at = time.Time{}
		for rested, due := false, false; !due; {
			select {
			case <-ctx.Done():
				return
			case <-rest.C:
				rested = true
			case <-anyway.C:
				due = true
			case e, open := <-news.Events():
				if !open { // it was too slow
					news = m.engine.Subscribe()
				} else if at.IsZero() {
					at = e.Time
				}
			}
			due = due || rested && !at.IsZero()
		}
		if at.IsZero() {
			at = m.engine.Time()
		}
		rest.Stop()
		anyway.Stop()
	}
}
