// Package datapath is the kernel's lb.Dataplane: the XDP program of bpf/src/lb.bpf.c, its tables, and the
// links that attach it to interfaces.
//
// A packet's walk, wire to wire, is in the program and runs no code of this package: the XDP link calls the program,
// parse finds the 4-tuple, service_index leads to the row of the service, its slots or the records say which replica,
// the replica's row has its active next hop, the packet is rewritten or encapsulated and sent, and counted by replica
// or by reason. An answer of a replica finds its VIP by rev_nat_index, and its route in the kernel's FIB.
//
// A change's walk: Datapath.SetService checks the service and takes the lock; registry.set asks the index of services
// what excludes it, and prepare allocates numbers and writes the replicas, the reverse NAT entries, the slots and
// the row; install makes the switch by one store into service_index, and retires what was replaced. That is reused after
// a grace period, when no packet can be reading it (tables.Grace).
//
// Datapath is thin: it holds the lock and calls its parts, each of which owns its state. registry: the services in
// the tables (lb/tables). transitions: the ages of flows and of slots in transition. hops: the next hops of the replicas
// (lb/nexthop). links: the interfaces (lb/xdp). counters, monitoring, and view, over which lb/oracle explains.
// background.go calls in what happens by itself: changes of the network, and time.
//
// The kernel's tables are the only state. Everything is pinned in a private directory, so that what is
// attached goes on forwarding when the process ends, however it ends, and the next Open takes over (adopt.go).
package datapath

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"lbctl/lb"
	"lbctl/lb/nexthop"
	"lbctl/lb/tables"
	"lbctl/lb/xdp"

	"github.com/cilium/ebpf"
)

// Datapath is the kernel datapath in the network namespace of the thread that
// opened it. It is safe for concurrent use: every operation holds the lock, which guards the parts.
type Datapath struct {
	*program // does not change after Open

	dir    *xdp.Dir // what is pinned
	drifts uint64   // what others had changed
	mended uint64   // those of drifts that were mended

	verifying sync.Mutex // is held by the one Verify that is under way

	closing atomic.Bool
	mu      sync.Mutex
	closed  bool

	migration   *migration // nil: there is none
	registry    *registry
	transitions transitions
	hops        *hops
	links       *links
	counters    *counters
	monitoring  *monitoring

	// What calls the datapath by itself: changes of the network, and time.
	watcher *nexthop.Watcher
	sweeper *sweeper
	// events are what the watcher says, for the reader of Events.
	events *events
}

var _ lb.Dataplane = (*Datapath)(nil)

// Open loads the program, takes over what is pinned in the directory or makes it,
// and puts the program under every pinned link by one atomic update. Pinned tables of other limits or of another layout are
// replaced by that update, too (migrate.go).
//
// Errors: lb.ErrDenied without CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (and CAP_SYS_ADMIN where the
// BPF file system is not mounted); lb.ErrUnsupported on a kernel that is too old;
// lb.ErrConflict when what is in the pinned tables has no room within the limits, when it cannot be read and no Services are
// given, when another process uses the directory, or when what is pinned would end with the mount namespace
// (Options.Ephemeral). After an error everything that was pinned
// is as it was and goes on forwarding, and nothing else is pinned.
func Open(ctx context.Context, o Options) (*Datapath, error) {
	d := newDatapath(o.withDefaults())
	if err := d.open(ctx); err != nil {
		return nil, errors.Join(err, d.migration.abandon(d.links.hook), d.dir.Discard(), d.Close())
	}
	return d, nil
}

// newDatapath returns one without tables.
func newDatapath(o Options) *Datapath {
	d := &Datapath{program: &program{options: o}, events: &events{to: make(chan lb.Event, lb.EventBuffer)}}
	d.hops = &hops{tables: &tables.Tables{}, differ: map[uint32]string{}, unfit: map[uint32]unfit{}, log: o.Logger, events: d.events}
	d.counters = &counters{program: d.program, tables: d.hops.tables}
	d.registry = newRegistry(o.Limits, d.hops, d.counters)
	d.transitions = transitions{registry: d.registry}
	d.links = &links{hops: d.hops, log: o.Logger}
	d.hops.links = d.links
	d.monitoring = &monitoring{program: d.program, links: d.links, lock: &d.mu}
	return d
}

func (d *Datapath) open(ctx context.Context) error {
	adopt := func() error { return d.adopt(ctx) }
	steps := []func() error{
		d.options.checkLimits, xdp.RequireKernel, d.openDir, d.hops.open, d.resume, d.begin, d.load, d.mapTables, adopt,
		d.selfTest, d.countLosses, d.swap, d.watch, d.startSweeper,
	}
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

// openDir makes and locks the pin directory.
func (d *Datapath) openDir() (err error) {
	names, err := pinNames()
	if err != nil {
		return err
	}
	if d.dir, err = xdp.OpenDir(d.options.Dir, names); err != nil {
		return err
	}
	if d.options.Ephemeral {
		return nil
	}
	return xdp.RequireLasting(d.options.Dir)
}

func (d *Datapath) load() error { return d.program.load(d.migration) }

// mapTables maps the tables of the loaded program.
func (d *Datapath) mapTables() error { return d.registry.tables.Map(&d.objects.LbMaps) }

// adopt takes over the links and tables that an earlier process has pinned.
func (d *Datapath) adopt(ctx context.Context) error {
	if err := d.links.adopt(d.options.Dir); err != nil {
		return err
	}
	if d.migration != nil {
		return d.migration.fill(ctx, d)
	}
	damaged, err := d.registry.adopt()
	if d.say(damaged); err != nil {
		return fmt.Errorf("adopt the tables pinned in %s: %w", d.options.Dir, err)
	}
	if len(d.registry.services) > 0 {
		d.options.Logger.Info("took over pinned tables", "services", len(d.registry.services), "interfaces", len(d.links.hook.Links))
	}
	return nil
}

func (d *Datapath) countLosses() error {
	d.counters.countLosses(d.hops.network)
	return nil
}

func (d *Datapath) swap() error {
	if d.migration != nil {
		return d.migration.take(d)
	}
	if kept, err := d.keepPinned(); kept || err != nil {
		return err
	}
	return d.links.hook.Swap(d.objects.Lb)
}

// keepPinned goes on with the pinned program, and touches no link that has it, if the loaded one does the same.
func (d *Datapath) keepPinned() (kept bool, err error) {
	pinned, err := d.links.hook.Pinned()
	if pinned == nil || err != nil {
		return false, err
	}
	if !xdp.Same(pinned, d.objects.Lb) {
		return false, pinned.Close()
	}
	err = d.objects.Lb.Close()
	d.objects.Lb = pinned
	_, err1 := d.links.hook.Reclaim(pinned) // what has it not is from a monitor that was killed
	return true, errors.Join(err, err1)
}

// Close releases the handle; what is attached goes on forwarding. Operations after
// it fail with os.ErrClosed; a second Close does nothing.
func (d *Datapath) Close() error {
	if d.closing.Swap(true) {
		return nil
	}
	if d.watcher != nil {
		d.watcher.Stop()
	}
	if d.sweeper != nil {
		d.sweeper.stop()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	close(d.events.to) // nobody writes to it any more
	err := errors.Join(d.monitoring.end(), d.registry.tables.Unmap(), d.links.close(), d.counters.close())
	d.hops.close()
	return errors.Join(err, d.objects.Close(), d.dir.Close())
}

// Discard is Close for a start that failed: what was not pinned before Open is removed, links apart.
func (d *Datapath) Discard() error { return errors.Join(d.dir.Discard(), d.Close()) }

// locked runs an operation under the lock. It leaves little of the tables mapped. Errors: os.ErrClosed, without running it.
func (d *Datapath) locked(operation func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fmt.Errorf("datapath: %w", os.ErrClosed)
	}
	defer d.registry.tables.Trim()
	return operation()
}

// Program returns the XDP program under the links, for an observer that hands packets on to it.
func (d *Datapath) Program() *ebpf.Program {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.monitoring.current()
}

// Purge removes what a Datapath has pinned in a directory: traffic is no longer balanced. left names what else is in
// there. Errors: those of xdp.Purge.
func Purge(dir string) (left []string, err error) {
	names, err := pinNames()
	if err != nil {
		return nil, err
	}
	return xdp.Purge(dir, names)
}
