// Package traffic is the clients: real HTTP/1.1 over TCP to the VIP from many source
// addresses and ports, every answer checked to the byte.
package traffic

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"sort"
	"time"

	"lbctl/rss/packet"
	"lbctl/testbed/replica"
)

// Config says what is requested, from where, and how. The seed decides which connection
// requests which object, and from which port.
type Config struct {
	VIP netip.AddrPort
	// Sources are the clients' addresses; connection i comes from Sources[i mod len].
	Sources []netip.Addr
	// Connections is their number, RequestsPerConnection that of the requests on each.
	Connections, RequestsPerConnection int
	// Concurrency is how many connections have a request under way at a time; 0: DefaultConcurrency.
	Concurrency int
	Seed        uint64
	Site        replica.Site
	// Popularity is the exponent s of Zipf's law: object k is requested in proportion to
	// 1/(k+1)^s. 0 is uniform.
	Popularity float64
	// AllObjects makes each connection request every object once, in order, instead.
	AllObjects bool
	// Barrier holds all connections open after half of their requests (rounded up),
	// prints Half and goes on when a line arrives on stdin.
	Barrier bool
	// Log is the path of the journal of Request; empty: none.
	Log string
	// Progress is after how many requests a line "progress DONE TOTAL" is printed; 0: never.
	Progress int
	// Timeout bounds each connect and each request; 0: DefaultTimeout. Limit bounds
	// all of it, or with a Barrier each half; 0: DefaultLimit. Requests that were not sent by
	// then are logged as errors.
	Timeout, Limit time.Duration
}

// The defaults of a Config.
const (
	DefaultConcurrency = 64
	DefaultTimeout     = 10 * time.Second
	DefaultLimit       = 5 * time.Minute
)

// Half is the line that a client prints at the barrier.
const Half = "half"

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	if c.Concurrency == 0 {
		c.Concurrency = DefaultConcurrency
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Limit == 0 {
		c.Limit = DefaultLimit
	}
	if c.AllObjects {
		c.RequestsPerConnection = c.Site.Objects
	}
	return c
}

// Total returns the number of requests.
func (c Config) Total() int {
	c = c.withDefaults()
	return c.Connections * c.RequestsPerConnection
}

// Validate says what is wrong with a configuration.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case !c.VIP.IsValid() || c.VIP.Port() == 0:
		return fmt.Errorf("vip %v: want an address and a port", c.VIP)
	case len(c.Sources) == 0:
		return errors.New("no source addresses")
	case c.Connections < 1 || c.RequestsPerConnection < 1 || c.Concurrency < 1:
		return fmt.Errorf("%d connections of %d requests, %d at a time: want at least 1 each",
			c.Connections, c.RequestsPerConnection, c.Concurrency)
	case c.Popularity < 0:
		return fmt.Errorf("popularity exponent %v: want 0 or more", c.Popularity)
	}
	for _, s := range c.Sources {
		if s.Is4() != c.VIP.Addr().Is4() {
			return fmt.Errorf("source %v: not of the family of vip %v", s, c.VIP)
		}
	}
	return c.Site.Validate()
}

// Request is one request as the client saw it.
type Request struct {
	// Connection numbers the connections of a run from 0; Flow is client > VIP.
	Connection int
	Flow       packet.Flow
	// Object is the number of the requested web object, from 0.
	Object int
	Status int
	Bytes  int
	// Replica is what the replica called itself in its answer (header X-Replica).
	Replica int
	// Err is empty when the right bytes came back: status 200, length and SHA-256 as expected.
	Err string
}

// choice decides which objects a connection requests. Immutable.
type choice struct {
	config Config
	// upTo is the cumulated popularity: object k has upTo[k]-upTo[k-1].
	upTo []float64
}

func newChoice(c Config) choice {
	upTo := make([]float64, c.Site.Objects)
	sum := 0.0
	for k := range upTo {
		sum += math.Pow(float64(k+1), -c.Popularity)
		upTo[k] = sum
	}
	return choice{config: c, upTo: upTo}
}

// objects returns what connection i requests, in order.
func (c choice) objects(i int) []int {
	all := make([]int, c.config.RequestsPerConnection)
	random := rand.New(rand.NewPCG(c.config.Seed, uint64(i)))
	for k := range all {
		all[k] = k
		if !c.config.AllObjects {
			all[k] = c.pick(random.Float64())
		}
	}
	return all
}

// pick returns the object in whose share of the popularity u, 0 to 1, lies.
func (c choice) pick(u float64) int {
	last := len(c.upTo) - 1
	return min(sort.SearchFloat64s(c.upTo, u*c.upTo[last]), last)
}
