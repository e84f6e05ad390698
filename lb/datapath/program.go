package datapath

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/tables"
	"lbctl/lb/xdp"
	"lbctl/rss"

	"github.com/cilium/ebpf"
)

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

// load loads the program with its tables. Tables that are pinned are used again.
func (p *program) load() (err error) {
	if p.reasons, err = bpf.Reasons(); err != nil {
		return err
	}
	if p.secret, err = p.settings(); err != nil {
		return err
	}
	spec, err := p.spec()
	if err != nil {
		return err
	}
	err = xdp.Load(spec, &p.objects, &ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: p.options.Dir}})
	switch {
	case errors.Is(err, ebpf.ErrMapIncompatible):
		return fmt.Errorf("%w: the tables pinned in %s have other limits: %v", lb.ErrConflict, p.options.Dir, err)
	case err != nil:
		return fmt.Errorf("load the datapath: %w", err)
	}
	p.pinned = pinnedOf(spec, &p.objects.LbMaps)
	return nil
}

// spec reads the program and configures it.
func (p *program) spec() (*ebpf.CollectionSpec, error) {
	spec, err := bpf.LoadLb()
	if err != nil {
		return nil, fmt.Errorf("read the datapath's object: %w", err)
	}
	if p.options.edit != nil {
		p.options.edit(spec)
	}
	return spec, p.configure(spec)
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
		bpf.LbMapReplicas: l.Replicas, bpf.LbMapByReplica: l.Replicas,
		bpf.LbMapFibCache: uint32(cpus) * bpf.FIBCacheEntries,
		// Behind the slots are the lists of replicas, old and new.
		bpf.LbMapSlots: l.Slots + tables.ListsFor(l),
		// The ordinary program has no samples; this is the smallest size.
		bpf.LbMapSamples: uint32(os.Getpagesize()),
	} {
		spec.Maps[name].MaxEntries = size
	}
	for name, value := range map[string]any{
		bpf.LbVarServiceBucketsLast:   serviceBuckets - 1,
		bpf.LbVarRevNatBucketsLast:    revNatBuckets - 1,
		bpf.LbVarToeplitzRows:         toeplitzRows(p.options.ToeplitzKey),
		bpf.LbVarEstablishedLinesLast: establishedLines - 1,
		bpf.LbVarHalfOpenLinesLast:    halfOpenLines - 1,
		bpf.LbVarSecret:               p.secret,
		bpf.LbVarTokenRate:            tokenRate,
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

// toeplitzRows returns what each value of each byte of an IPv6 4-tuple adds to the hash.
func toeplitzRows(k rss.Key) (rows [36][256]uint32) {
	copy(rows[:], rss.NewTables(k, len(rows)).Rows())
	return rows
}

// schema is the version of the layout of all pinned tables. A program needs tables of its own version. Tables
// from before there were versions count as 0.
const schema = 6

// settings reads the secret of the keys of flows from the pinned settings, or makes and pins one. It is pinned
// before any other table, so tables without it are of an older version. Errors: lb.ErrConflict when what is
// pinned has another schema.
func (p *program) settings() (secret [4]uint64, err error) {
	m, err := xdp.OpenMap(&ebpf.MapSpec{
		Name: bpf.LbMapSettings, Type: ebpf.Array, KeySize: 4, ValueSize: uint32(binary.Size(bpf.LbSetting{})), MaxEntries: 1,
		Flags: mapMmapable, Pinning: ebpf.PinByName,
	}, ebpf.MapOptions{PinPath: p.options.Dir})
	if err != nil {
		return secret, fmt.Errorf("open the settings: %w", err)
	}
	defer m.Close()
	var row bpf.LbSetting
	if err := m.Lookup(uint32(0), &row); err != nil {
		return secret, fmt.Errorf("read the settings: %w", err)
	}
	switch {
	case row.Schema == schema:
		return row.Secret, nil
	case row.Schema != 0:
		return secret, p.otherSchema(row.Schema)
	}
	if _, err := os.Stat(filepath.Join(p.options.Dir, bpf.LbMapServices)); !errors.Is(err, os.ErrNotExist) {
		return secret, p.otherSchema(0)
	}
	var random [32]byte
	rand.Read(random[:])
	for i := range row.Secret {
		row.Secret[i] = binary.NativeEndian.Uint64(random[8*i:])
	}
	row.Schema = schema
	if err := m.Put(uint32(0), row); err != nil {
		return secret, fmt.Errorf("write the settings: %w", err)
	}
	return row.Secret, nil
}

// mapMmapable is BPF_F_MMAPABLE of linux/bpf.h.
const mapMmapable = 1 << 10

func (p *program) otherSchema(found uint32) error { return &schemaError{p.options.Dir, found} }

// schemaError: the pinned tables are of another version. It wraps lb.ErrConflict.
type schemaError struct {
	dir   string
	found uint32
}

func (e *schemaError) Error() string {
	return fmt.Sprintf("%v: the tables pinned in %s have schema %d and this version needs %d; their rows have another layout, so they "+
		"cannot be carried over", lb.ErrConflict, e.dir, e.found, schema)
}

// Hint says what to do.
func (e *schemaError) Hint() string {
	return fmt.Sprintf("run lbctl purge --pin-dir %s, which ends balancing, then start again; the stored intent is kept", e.dir)
}

func (e *schemaError) Unwrap() error { return lb.ErrConflict }
