// Package datapath is the kernel's lb.Dataplane: the XDP program of bpf/src/lb.bpf.c, its tables, and the
// links that attach it to interfaces.
//
// A packet's walk, wire to wire, is in the program and reads none of this package: the XDP link calls the
// program (attach.go), parse finds the 4-tuple, service_index (index.go) leads to the row of the service
// (rows.go), the slots (inherit.go) or the records (records.go) say which replica, the replica's row has its
// active next hop (netstate.go, refresh.go), the packet is rewritten or encapsulated and sent, and counted by
// replica or reason (counters.go). An answer of a replica finds its VIP by rev_nat_index, and its route in the
// kernel's FIB.
//
// The kernel's tables are the only state. Everything is pinned in a private directory, so that what is
// attached goes on forwarding when the process ends, however it ends, and the next Open takes over (adopt.go).
//
// The rule of every change: what is pointed at is written before what points at it; one store makes the
// switch; what nothing points at any more is reused only after a grace period, when no packet can be reading
// it (retire.go).
package datapath

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

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
	// ring is the size in bytes of what holds samples until they are read. Default sampleRing.
	ring uint32
}

// DefaultDir is the pin directory of the appliance's one instance.
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

// Datapath is the kernel datapath in the network namespace of the thread that
// opened it. It is safe for concurrent use.
type Datapath struct {
	options Options
	objects objects
	reasons []string
	secret  [4]uint64 // of the keys of flows

	closed          atomic.Bool
	mu              sync.Mutex
	tables          tables
	services        map[lb.VIP]*entry
	index           *lb.Index
	via             map[uint32]neighbour // of each replica, by id
	byReplica       []*entry             // the service of each replica, by id; nil: none
	addresses       map[netip.Addr]*addressRow
	sweeper         *sweeper
	hook            *xdp.Hook
	deferred        []func() // what to free when no packet reads it any more
	removedReplicas []uint32 // ids of removed replicas whose counters have not been added to retiredCounts
	readersPending  bool     // packets may read what the last change replaced
	staleRecords    bool     // there may be records of replicas that no service has
	ids             struct{ services, rows, replicas, lists, slots extents }

	hops    *hops
	network func() network // as it is now
	watch   *watch
	monitor *monitor // nil: nobody watches
}

var _ lb.Dataplane = (*Datapath)(nil)

// Open loads the program, takes over what is pinned in the directory or makes it,
// and puts the program under every pinned link by one atomic update.
//
// Errors: lb.ErrDenied without CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (and CAP_SYS_ADMIN where the
// BPF file system is not mounted); lb.ErrUnsupported on a kernel that is too old;
// lb.ErrConflict when the pinned tables have other limits or another layout. After an
// error everything that was pinned is as it was and goes on forwarding.
func Open(ctx context.Context, o Options) (*Datapath, error) {
	d := newDatapath(o.withDefaults())
	if err := d.open(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// newDatapath returns one without tables.
func newDatapath(o Options) *Datapath {
	d := &Datapath{
		options:   o,
		services:  map[lb.VIP]*entry{},
		index:     lb.NewIndex(),
		via:       map[uint32]neighbour{},
		addresses: map[netip.Addr]*addressRow{},
	}
	d.ids.services, d.ids.rows = newExtents(o.Limits.Services), newExtents(rowsFor(o.Limits))
	d.ids.replicas, d.ids.lists = newExtents(o.Limits.Replicas), newExtents(2*o.Limits.Replicas)
	d.ids.slots = newExtents(o.Limits.Slots)
	return d
}

func (d *Datapath) open(ctx context.Context) error {
	steps := []func() error{d.checkLimits, d.checkKernel, d.makeDir, d.load, d.openHops, d.mapTables, d.adopt, d.selfTest, d.swap, d.watchHops, d.startSweeper}
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (d *Datapath) openHops() (err error) {
	d.hops, err = newHops()
	d.network = func() network { return d.hops.gather() }
	return err
}

func (d *Datapath) swap() error { return d.hook.Swap(d.objects.Lb) }

// Close releases the handle; what is attached goes on forwarding. Operations after
// it fail with os.ErrClosed; a second Close does nothing.
func (d *Datapath) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	if d.watch != nil {
		d.watch.stop()
	}
	if d.sweeper != nil {
		d.sweeper.stop()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	errs := []error{d.endMonitor(), d.tables.unmap()}
	if d.hook != nil {
		errs = append(errs, d.hook.Close())
	}
	if d.hops != nil {
		d.hops.close()
	}
	return errors.Join(append(errs, d.objects.Close())...)
}

// lock begins an operation that reads or writes the tables; the caller unlocks.
// Errors: os.ErrClosed.
func (d *Datapath) lock() (unlock func(), err error) {
	d.mu.Lock()
	if d.closed.Load() {
		d.mu.Unlock()
		return nil, fmt.Errorf("datapath: %w", os.ErrClosed)
	}
	return d.mu.Unlock, nil
}

// Program returns the XDP program under the links, for an observer that hands packets on to it.
func (d *Datapath) Program() *ebpf.Program {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.program()
}

// program is Program under the lock.
func (d *Datapath) program() *ebpf.Program {
	if d.monitor != nil {
		return d.monitor.objects.Lb
	}
	return d.objects.Lb
}

// Purge removes everything that is pinned in the directory: traffic is no longer
// balanced. A directory that does not exist is no error.
func Purge(dir string) error {
	if err := xdp.RequireBPFFS(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove pins: %w", xdp.Denied(err))
	}
	return nil
}
