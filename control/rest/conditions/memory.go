package conditions

import (
	"context"
	"sync"
	"time"

	"lbctl/control/api"
	"lbctl/control/engine"
	"lbctl/control/rest/encode"
	"lbctl/lb"
)

// Memory knows the conditions, and since when they are so, as far as it has looked: when an event says that something has changed,
// now and then, and whenever somebody asks. It is safe for concurrent use.
//
// Each answer has the present intent, health, next hops, interfaces and pins: all that the daemon does, finds and is told. Which
// services the datapath has it compares when that changes, and every lookAnyway: nobody else changes them.
type Memory struct {
	engine *engine.Engine
	// renewing is held by the one who makes the conditions of all services.
	renewing sync.Mutex
	mu       sync.Mutex
	node     []api.Condition
	services *services
}

// State is what conditions there are.
type State struct {
	Now *engine.Snapshot
	// Node are the conditions of the whole.
	Node     []api.Condition
	services *services
	memory   *Memory
}

// Service returns the conditions of the nth service of the intent.
func (s State) Service(n int) api.ServiceConditions { return s.services.of(n) }

// Services returns the conditions of all services, as a list in JSON, which is not to be changed.
func (s State) Services() (encode.Text, error) {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	return s.services.encoded()
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
func (m *Memory) Observe() (State, error) { return m.look(m.engine.Time(), false) }

// look notes which conditions have changed, at a time. anew has it compare what the datapath has, whatever has changed.
func (m *Memory) look(moment time.Time, anew bool) (State, error) {
	if s, is, err := m.present(moment); is && !anew || err != nil {
		return s, err
	}
	m.renewing.Lock()
	defer m.renewing.Unlock()
	if s, is, err := m.present(moment); is && !anew || err != nil { // another has renewed them
		return s, err
	}
	now, all, err := m.engine.Forwarded() // after a change that is under way, for which those who ask do not wait
	if err != nil {
		return State{}, err
	}
	status, err := m.engine.Status()
	if err != nil {
		return State{}, err
	}
	g := given{now: now, outOfSync: status.OutOfSync, condition: status.Condition, moment: m.engine.Time(), forwarded: make(map[lb.VIP]lb.Service, len(all))}
	for _, s := range all {
		g.forwarded[s.VIP] = s
	}
	next := newServices(g, m.services, at(moment))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.services = next
	return m.state(status, moment), nil
}

// present returns the state, if the conditions of the services are still those that follow from it.
func (m *Memory) present(moment time.Time) (s State, is bool, err error) {
	status, err := m.engine.Status()
	if err != nil {
		return s, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.services.follow(m.engine.Now(), status) {
		return s, false, nil
	}
	return m.state(status, moment), true, nil
}

func (m *Memory) state(of engine.Status, moment time.Time) State {
	node := m.services.node(of)
	stamp(node, m.node, at(moment))
	m.node = node
	return State{Now: m.services.now, Node: node, services: m.services, memory: m}
}

// Run looks until ctx ends.
func (m *Memory) Run(ctx context.Context) {
	news := m.engine.Subscribe()
	defer func() { news.Close() }()
	moment, anew := m.engine.Time(), true
	anyway := time.NewTicker(lookAnyway)
	defer anyway.Stop()
	for {
		began := time.Now()
		m.look(moment, anew) // an error is that of the next request, too
		rest := time.NewTimer(max(lookEvery, 20*time.Since(began)))
		moment, anew = time.Time{}, false
		for rested, due := false, false; !due; {
			select {
			case <-ctx.Done():
				return
			case <-rest.C:
				rested = true
			case <-anyway.C:
				due, anew = true, true
			case e, open := <-news.Events():
				if !open { // it was too slow
					news = m.engine.Subscribe()
				} else if moment.IsZero() {
					moment = e.Time
				}
			}
			due = due || rested && !moment.IsZero()
		}
		if moment.IsZero() {
			moment = m.engine.Time()
		}
		rest.Stop()
	}
}
