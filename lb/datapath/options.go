package datapath

import (
	"fmt"
	"log/slog"
	"math/bits"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/xdp"
	"lbctl/rss"

	"github.com/cilium/ebpf"
)

// Options of Open. The zero value of each field means its default.
type Options struct {
	// Dir is the pin directory, below a BPF file system. Default /sys/fs/bpf/lbctl.
	Dir string
	// Limits are the capacities. Default lb.DefaultLimits. Pinned tables keep theirs: to ask for others is
	// ErrConflict.
	Limits lb.Limits
	// ToeplitzKey is the RSS key of lb.ToeplitzHash. Default the Microsoft key.
	ToeplitzKey rss.Key
	// Logger logs what happens later, like changes of next hops. Default: discarded.
	Logger *slog.Logger
	// Ephemeral allows a BPF file system that process 1 does not see: balancing ends with the mount namespace.
	Ephemeral bool
	// TokenRate limits, on each CPU and per second, how often a flow is recorded as established where a line of
	// records is nearly full, and how often a packet that is too big is answered. Default 2000.
	TokenRate uint32

	// manualClock leaves the passing of time to the caller of sweep, does not follow the network, and sets no limit
	// to TokenRate: for tests, which read the tables without a lock.
	manualClock bool
	// edit changes the program before it is loaded: for tests of what becomes of broken ones.
	edit func(*ebpf.CollectionSpec)
	// now is the clock. Default time.Now.
	now func() time.Time
	// ring is the size in bytes of the ring buffer of samples. Default sampleRing.
	ring uint32
}

// DefaultDir is the pin directory where no other is named.
const DefaultDir = xdp.Root + "/lbctl"

func (o Options) withDefaults() Options {
	if o.Dir == "" {
		o.Dir = DefaultDir
	}
	if o.Limits == (lb.Limits{}) {
		o.Limits = lb.DefaultLimits
	}
	if o.ToeplitzKey == nil {
		o.ToeplitzKey, _ = rss.Named("ms")
	}
	if o.Limits.Flows == 0 {
		o.Limits.Flows = lb.DefaultLimits.Flows
	}
	if o.TokenRate == 0 {
		o.TokenRate = 2000
	}
	if o.now == nil {
		o.now = time.Now
	}
	if o.ring == 0 {
		o.ring = sampleRing
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// checkLimits checks the limits that the layout of the tables sets.
func (o Options) checkLimits() error {
	flows := o.Limits.Flows
	if bits.OnesCount32(flows) != 1 || flows < 1<<10 || flows > 1<<28 {
		return fmt.Errorf("%w: limit of %d flows: want a power of two from 1024 to %d", lb.ErrInvalid, flows, 1<<28)
	}
	if o.Limits.Replicas > bpf.ReplicaNone {
		return fmt.Errorf("%w: limit of %d replicas: want at most %d", lb.ErrInvalid, o.Limits.Replicas, bpf.ReplicaNone)
	}
	return nil
}
