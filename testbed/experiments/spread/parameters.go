package spread

import (
	"cmp"
	"flag"
	"fmt"

	"lbctl/lb"
	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/testbed/bed"
	"lbctl/testbed/experiment"
	"lbctl/testbed/netns"
	"lbctl/testbed/replica"
)

// parameters are what one can set. The zero value is not valid: see newTrial.
type parameters struct {
	replicas, queues, objects        int
	connections, requests, clients   int
	controlConnections               int
	concurrency, table, mtu          int
	minSize, maxSize, controlMaxSize int
	popularity                       float64
	key                              parsed[rss.Key]
	scheduler                        parsed[lb.Scheduler]
	hash                             parsed[lb.Hash]
}

// maxMTU is as much as native XDP takes, about: on a TAP a frame and its headroom have to fit a page.
const maxMTU = 3000

// define gives each parameter its name, default and help.
func (p *parameters) define(f *flag.FlagSet) {
	f.IntVar(&p.replicas, "replicas", 4, "the number of replicas")
	f.IntVar(&p.queues, "queues", 4, "the number of receive queues of the NIC")
	f.IntVar(&p.objects, "objects", 64, "the number of web objects")
	f.IntVar(&p.connections, "connections", 4000, "the number of connections")
	f.IntVar(&p.requests, "requests", 16000, "the number of requests, a multiple of connections")
	f.IntVar(&p.clients, "clients", 200, "the number of client addresses")
	f.IntVar(&p.concurrency, "concurrency", 64, "the number of connections that ask at a time")
	f.IntVar(&p.table, "table", nic.DefaultTableSize, "the number of entries of the indirection table")
	f.IntVar(&p.mtu, "mtu", netns.DefaultMTU, "the largest packet of every link in bytes")
	f.IntVar(&p.minSize, "min-size", 200, "the size of the smallest object in bytes")
	f.IntVar(&p.maxSize, "max-size", 1_000_000, "the size of the largest object in bytes")
	f.IntVar(&p.controlConnections, "control-connections", 400, "the number of connections of a control with traffic of its own")
	f.IntVar(&p.controlMaxSize, "control-max-size", 20_000, "the size of the largest object in those, in bytes")
	f.Float64Var(&p.popularity, "popularity", 0, "the exponent of Zipf's law of the objects' popularity, 0 for uniform")
	p.key.define(f, "key", "ms", "the RSS key, in hexadecimal or by name", rss.ParseKey)
	p.scheduler.define(f, "scheduler", "modulo", "modulo or maglev", lb.ParseScheduler)
	p.hash.define(f, "hash", "jhash", "the load balancer's hash, jhash or toeplitz", lb.ParseHash)
}

// validate says what is out of range. Its errors wrap experiment.ErrParameter.
func (p *parameters) validate() error {
	places := max(p.replicas, p.queues)
	if err := cmp.Or(
		experiment.Within("replicas", p.replicas, 2, bed.MaxReplicas),
		experiment.Within("queues", p.queues, 2, 256),
		experiment.Within("objects", p.objects, 1, 1<<16),
		experiment.Within("connections", p.connections, 10*places, 1<<20),
		experiment.Within("requests", p.requests, p.connections, 1<<24),
		experiment.Within("clients", p.clients, 1, bed.MaxClients),
		experiment.Within("concurrency", p.concurrency, 1, 4096),
		experiment.Within("table", p.table, p.queues, rss.MaxTableSize),
		experiment.Within("mtu", p.mtu, 576, maxMTU),
		experiment.Within("min-size", p.minSize, 1, p.maxSize),
		experiment.Within("max-size", p.maxSize, 1, 1<<30),
		experiment.Within("control-connections", p.controlConnections, 10*places, 1<<20),
		experiment.Within("control-max-size", p.controlMaxSize, p.minSize, 1<<30),
	); err != nil {
		return err
	}
	if p.requests%p.connections != 0 {
		return fmt.Errorf("%w requests=%d: want a multiple of connections, %d", experiment.ErrParameter, p.requests, p.connections)
	}
	if p.popularity < 0 || p.popularity > 10 {
		return fmt.Errorf("%w popularity=%g: want 0 to 10", experiment.ErrParameter, p.popularity)
	}
	return nil
}

// site returns the web site with objects of up to a size.
func (p *parameters) site(seed uint64, maxSize int) replica.Site {
	return replica.Site{Seed: seed, Objects: p.objects, MinSize: p.minSize, MaxSize: maxSize}
}

// parsed is a flag.Value that is checked when it is set.
type parsed[T any] struct {
	text  string
	value T
	parse func(string) (T, error)
}

// define sets the default, which must be one that parses, and makes the flag.
func (v *parsed[T]) define(f *flag.FlagSet, name, initial, help string, parse func(string) (T, error)) {
	v.parse = parse
	if err := v.Set(initial); err != nil {
		panic(fmt.Sprintf("default of parameter %s: %v", name, err))
	}
	f.Var(v, name, help)
}

// Set implements flag.Value.
func (v *parsed[T]) Set(text string) error {
	value, err := v.parse(text)
	if err == nil {
		v.text, v.value = text, value
	}
	return err
}

// String implements flag.Value.
func (v *parsed[T]) String() string { return v.text }
