package datapath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"os"
	"path/filepath"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/tables"
	"lbctl/lb/xdp"
	"lbctl/rss"

	"github.com/cilium/ebpf"
)

// Options of Open. The zero value of each field means its default.
type Options struct {
	// Dir is the pin directory, below a BPF file system. Default /sys/fs/bpf/lbctl.
	Dir string
	// Limits are the capacities. Default lb.DefaultLimits. Where pinned tables have others, what is in them is carried over
	// into new ones.
	Limits lb.Limits
	// Services are what is to be forwarded, should the pinned tables be such as this version cannot read; nil: not known.
	Services []lb.Service
	// ToeplitzKey is the RSS key of lb.ToeplitzHash. Default the Microsoft key.
	ToeplitzKey rss.Key
	// NoService is what becomes of packets to the address of a VIP that no service takes. Default dropped.
	NoService lb.NoService
	// Logger logs what happens later, like changes of next hops. Default: discarded.
	Logger *slog.Logger
	// Ephemeral allows a BPF file system that process 1 does not see: balancing ends with the mount namespace.
	Ephemeral bool
	// TokenRate limits, on each CPU and per second, how often a flow is recorded as established where a line of
	// records is nearly full, how often a packet that is too big is answered, and how often one is rejected. Default 2000.
	TokenRate uint32

	// manualClock leaves the passing of time to the caller of sweep, does not follow the network, and sets no limit
	// to TokenRate: for tests, which read the tables without a lock. A second of a service's rates takes `stopped` seconds.
	manualClock bool
	// edit changes the program before it is loaded: for tests of what becomes of broken ones.
	edit func(*ebpf.CollectionSpec)
	// step is called after every step of a migration: for tests.
	step func(*Datapath, string)
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
	if o.Limits.SourceRanges == 0 {
		o.Limits.SourceRanges = lb.DefaultLimits.SourceRanges
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
	if bits.OnesCount32(flows) != 1 || flows < 1<<10 || flows > lb.MaxFlows {
		return fmt.Errorf("%w: limit of %d flows: want a power of two from 1024 to %d", lb.ErrInvalid, flows, lb.MaxFlows)
	}
	if o.Limits.Replicas > bpf.ReplicaNone {
		return fmt.Errorf("%w: limit of %d replicas: want at most %d", lb.ErrInvalid, o.Limits.Replicas, bpf.ReplicaNone)
	}
	return nil
}

// stopped is how much longer a second of rates takes by a manual clock: none passes by itself then.
const stopped = 1 << 20

// second is how many nanoseconds a second of rates takes.
func (o Options) second() uint64 {
	if o.manualClock {
		return stopped * uint64(time.Second)
	}
	return uint64(time.Second)
}

// objects are the program for packets that nobody monitors, and the tables.
type objects struct {
	bpf.LbMaps
	Lb *ebpf.Program `ebpf:"lb"`
}

// Close closes all of them.
func (o *objects) Close() error { return errors.Join(o.LbMaps.Close(), o.Lb.Close()) }

// program is the program and what it was loaded with. It does not change after load.
type program struct {
	options Options
	objects objects
	pinned  map[string]*ebpf.Map // of objects, by name
	reasons []string
	secret  [4]uint64 // of the keys of flows
}

// load loads the program with its tables. Tables that are pinned are used again, unless a migration makes new ones.
func (p *program) load(m *migration) (err error) {
	if p.reasons, err = bpf.Reasons(); err != nil {
		return err
	}
	o := ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: p.options.Dir}}
	if m != nil {
		o.Maps.PinPath, o.MapReplacements = m.dir.Next(), m.shared
	}
	if p.secret, err = p.settings(o, m); err != nil {
		return err
	}
	spec, err := p.spec()
	if err != nil {
		return err
	}
	if m == nil {
		defer p.reuse(spec, &o)()
	}
	if err := xdp.Load(spec, &p.objects, &o); err != nil && m != nil {
		return fmt.Errorf("load the datapath over new tables (the pinned ones go on as they are): %w", err)
	} else if err != nil {
		return fmt.Errorf("load the datapath: %w", err)
	}
	p.pinned = pinnedOf(spec, &p.objects.LbMaps)
	return nil
}

// reuse has the program use the FIB cache of the pinned one: it is all that they need not share, and so they can be the same.
func (p *program) reuse(spec *ebpf.CollectionSpec, o *ebpf.CollectionOptions) (done func()) {
	cache := xdp.TableOf(filepath.Join(p.options.Dir, programPin), bpf.LbMapFibCache)
	if cache == nil {
		return func() {}
	}
	if spec.Maps[bpf.LbMapFibCache].Compatible(cache) == nil {
		o.MapReplacements = map[string]*ebpf.Map{bpf.LbMapFibCache: cache}
	}
	return func() { cache.Close() }
}

// spec reads the program and configures it.
func (p *program) spec() (*ebpf.CollectionSpec, error) {
	spec, err := p.plainSpec()
	if err != nil {
		return nil, err
	}
	return spec, p.configure(spec)
}

// plainSpec reads the program.
func (p *program) plainSpec() (*ebpf.CollectionSpec, error) {
	spec, err := bpf.LoadLb()
	if err != nil {
		return nil, fmt.Errorf("read the datapath's object: %w", err)
	}
	if p.options.edit != nil {
		p.options.edit(spec)
	}
	return spec, nil
}

// configure sets what is fixed at load time: sizes, the Toeplitz tables, the secret.
func (p *program) configure(spec *ebpf.CollectionSpec) error {
	l := p.options.Limits
	// The index holds the services and their addresses.
	serviceBuckets, revNatBuckets := tables.BucketsFor(2*l.Services), tables.BucketsFor(l.Replicas)
	establishedLines, halfOpenLines := l.Flows/bpf.RecordEntries, l.Flows/4/bpf.RecordEntries
	tokenRate := p.options.TokenRate
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count CPUs: %w", err)
	}
	if p.options.manualClock {
		tokenRate = 0
	}
	for name, size := range map[string]uint32{
		bpf.LbMapServiceIndex: serviceBuckets, bpf.LbMapServices: tables.RowsFor(l), bpf.LbMapRetiredCounts: l.Services,
		bpf.LbMapEstablished: establishedLines, bpf.LbMapHalfOpen: halfOpenLines,
		bpf.LbMapRevNatIndex: revNatBuckets, bpf.LbMapRevNats: l.Replicas,
		bpf.LbMapRateStates: l.Services, bpf.LbMapAllowances: l.Services, bpf.LbMapSourceRanges: tables.RangesFor(l),
		bpf.LbMapReplicas: l.Replicas, bpf.LbMapShortReplicas: l.Replicas, bpf.LbMapSharedHops: tables.SharedHops, bpf.LbMapByReplica: l.Replicas, bpf.LbMapFlowCounts: l.Replicas,
		bpf.LbMapFibCache: uint32(cpus) * bpf.FIBCacheEntries,
		// Behind the slots are the lists of replicas, old and new.
		bpf.LbMapSlots: l.Slots + tables.ListsFor(l), bpf.LbMapSlotOwners: tables.OwnersFor(l),
		// The ordinary program has no samples; this is the smallest size.
		bpf.LbMapSamples: uint32(os.Getpagesize()),
	} {
		spec.Maps[name].MaxEntries = size
	}
	for name, value := range map[string]any{
		bpf.LbVarToeplitzRows: toeplitzRows(p.options.ToeplitzKey),
		bpf.LbVarSecret:       p.secret,
		bpf.LbVarTokenRate:    tokenRate,
		bpf.LbVarSecond:       p.options.second(),
		bpf.LbVarRejects:      p.options.NoService == lb.RejectNoService,
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return bpf.Flatten(spec)
}

// toeplitzRows returns what each value of each byte of an IPv6 4-tuple adds to the hash.
func toeplitzRows(k rss.Key) (rows [36][256]uint32) {
	copy(rows[:], rss.NewTables(k, len(rows)).Rows())
	return rows
}

// schema is the version of the layout of all pinned tables. A program needs tables of its own version; of others it makes
// new ones. Tables from before there were versions count as 0.
const schema = 11

// formers are the earlier versions whose tables can be read, each with the tables that have other rows now or were not there. What rows have
// got since has been zero in them, and zero must say what was said without it.
func formers() map[uint32][]string {
	flat := []string{
		bpf.LbMapServiceIndex, bpf.LbMapServices, bpf.LbMapSlotOwners, bpf.LbMapShortReplicas, bpf.LbMapSharedHops, bpf.LbMapRevNatIndex,
		bpf.LbMapRevNats, bpf.LbMapEstablished, bpf.LbMapHalfOpen,
	}
	flows := append(flat, bpf.LbMapFlowCounts)
	limits := append(flows, bpf.LbMapSourceRanges, bpf.LbMapRateStates, bpf.LbMapAllowances)
	return map[uint32][]string{schema: nil, 10: flat, 9: flat, 8: flat, 7: flows, 6: limits, 5: append(limits, bpf.LbMapFragments)}
}

// settings reads the secret of the keys of flows from the settings, or makes them: with that of the tables from which
// records are carried over, or a new one.
func (p *program) settings(o ebpf.CollectionOptions, from *migration) (secret [4]uint64, err error) {
	m := o.MapReplacements[bpf.LbMapSettings]
	if m == nil {
		m, err = xdp.OpenMap(&ebpf.MapSpec{
			Name: bpf.LbMapSettings, Type: ebpf.Array, KeySize: 4, ValueSize: uint32(binary.Size(bpf.LbSetting{})), MaxEntries: 1,
			Flags: mapMmapable, Pinning: ebpf.PinByName,
		}, o.Maps)
		if err != nil {
			return secret, fmt.Errorf("open the settings: %w", err)
		}
		defer m.Close()
	}
	var row bpf.LbSetting
	if err := m.Lookup(uint32(0), &row); err != nil {
		return secret, fmt.Errorf("read the settings: %w", err)
	}
	if uint32(row.Schema) == schema {
		return row.Secret, nil
	}
	if row.Secret, err = from.secret(); err != nil {
		return secret, err
	}
	row.Schema = schema
	if err := m.Put(uint32(0), row); err != nil {
		return secret, fmt.Errorf("write the settings: %w", err)
	}
	return row.Secret, nil
}

// mapMmapable is BPF_F_MMAPABLE of linux/bpf.h.
const mapMmapable = 1 << 10
