// Package health finds out whether replicas are well. A Checker runs the checks that services ask for, each at its time, and
// tells what changes. It knows neither the engine nor the datapath: what an unhealthy replica gets is decided elsewhere.
package health

import (
	"context"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lbctl/control/intent"
	"lbctl/lb"
)

// Way is the way on which the checks of a replica go: the one of clients' packets. It returns the address to connect to and what
// is done to a socket before, nil for nothing. Its error says why there is none: nothing is known of the replica then.
type Way func(s lb.Service, replica netip.AddrPort) (to netip.AddrPort, control func(network, address string, c syscall.RawConn) error, err error)

// Status is what is known of a replica.
type Status uint8

const (
	// Unknown: no check can be made.
	Unknown Status = iota
	Healthy
	Unhealthy
)

// Key names a replica.
type Key struct {
	VIP     lb.VIP
	Replica netip.AddrPort
}

// Result is what checks have found of a replica.
type Result struct {
	Status Status
	// Since is when the status became so, Reason what was found last that is not as it should be; "" of one that is well.
	Since  time.Time
	Reason string
}

// Options are what a Checker is made of.
type Options struct {
	// Way leads to replicas.
	Way Way
	// Tell takes what has changed. It is called by one goroutine, and not again within TellEvery, nor within four times what it
	// took: how often tables change is bounded.
	Tell      func(map[Key]Result)
	TellEvery time.Duration
	// Counts returns what was counted of the flows of services' replicas, in their order; nil where that is not known. It is called
	// once a second at most. Without it nothing is ejected.
	Counts func([]lb.Service) [][]lb.FlowCount
	// Held tells whether a replica was found without traffic when the daemon started, since it was unhealthy; nil for none.
	Held func(Key) bool
	// Parallel bounds the checks by socket that are under way, ParallelExec those by command. One that has to wait is late.
	Parallel, ParallelExec int

	// probe replaces the checks, in tests.
	probe func(context.Context, target) error
}

const (
	// The defaults of Options.
	defaultTellEvery    = 100 * time.Millisecond
	defaultParallel     = 8192
	defaultParallelExec = 32
)

// Checker runs checks. It is safe for concurrent use. The zero value is not usable: see New.
type Checker struct {
	o   Options
	set chan []*intent.Service
	// lag is how late checks begin, took how long they take.
	lag  prometheus.Histogram
	took *prometheus.HistogramVec
	// ejections count those for what passes the datapath.
	ejections *prometheus.CounterVec

	mu      sync.Mutex
	pending map[Key]Result
	news    chan struct{}
}

// New returns a checker that has nothing to check.
func New(o Options) *Checker {
	if o.TellEvery == 0 {
		o.TellEvery = defaultTellEvery
	}
	if o.Parallel == 0 {
		o.Parallel = defaultParallel
	}
	if o.ParallelExec == 0 {
		o.ParallelExec = defaultParallelExec
	}
	if o.probe == nil {
		o.probe = func(ctx context.Context, t target) error { return probe(ctx, o.Way, t) }
	}
	return &Checker{
		o: o, set: make(chan []*intent.Service, 1), news: make(chan struct{}, 1),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "lbctl_health_check_lag_seconds",
			Help:    "How late health checks began.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 5}}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "lbctl_health_check_duration_seconds",
			Help:    "How long health checks took, by type.",
			Buckets: []float64{.0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10}}, []string{"type"}),
		ejections: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lbctl_health_ejections_total",
			Help: "Replicas that their traffic has made unhealthy (ejected), and would have if not too many of the service were already (too_many), by service."},
			[]string{"service", "outcome"}),
	}
}

// Describe implements prometheus.Collector.
func (c *Checker) Describe(to chan<- *prometheus.Desc) {
	c.lag.Describe(to)
	c.took.Describe(to)
	c.ejections.Describe(to)
}

// Collect implements prometheus.Collector.
func (c *Checker) Collect(to chan<- prometheus.Metric) {
	c.lag.Collect(to)
	c.took.Collect(to)
	c.ejections.Collect(to)
}

// Set says which services there are; those that have a check are checked from then on. What is known of replicas stays, and is
// told again. A check that is another one than before decides by its first result, and until then what was known holds.
func (c *Checker) Set(services []*intent.Service) {
	for {
		select {
		case c.set <- services:
			return
		case <-c.set: // nobody has taken the one before
		}
	}
}

// tell has a result told soon.
func (c *Checker) tell(k Key, r Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending == nil {
		c.pending = map[Key]Result{}
	}
	c.pending[k] = r
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// telling tells what is pending, until ctx ends. What comes first is told at once, and what follows together.
func (c *Checker) telling(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.news:
		}
		c.mu.Lock()
		told := c.pending
		c.pending = nil
		c.mu.Unlock()
		began := time.Now()
		if len(told) > 0 {
			c.o.Tell(told)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(c.o.TellEvery, 4*time.Since(began))):
		}
	}
}
