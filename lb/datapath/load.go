package datapath

import (
	"errors"
	"fmt"
	"os"

	"lbctl/bpf"
	"lbctl/lb"
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

// load loads the program with its tables. Tables that are pinned are used again.
func (d *Datapath) load() (err error) {
	if d.reasons, err = bpf.Reasons(); err != nil {
		return err
	}
	if d.secret, err = d.settings(); err != nil {
		return err
	}
	spec, err := d.spec()
	if err != nil {
		return err
	}
	err = spec.LoadAndAssign(&d.objects, &ebpf.CollectionOptions{
		Maps: ebpf.MapOptions{PinPath: d.options.Dir},
	})
	switch {
	case errors.Is(err, ebpf.ErrMapIncompatible):
		return fmt.Errorf("%w: the tables pinned in %s have other limits: %v", lb.ErrConflict, d.options.Dir, err)
	case err != nil:
		return fmt.Errorf("load the datapath: %w", xdp.Denied(err))
	}
	return nil
}

// spec reads the program and configures it.
func (d *Datapath) spec() (*ebpf.CollectionSpec, error) {
	spec, err := bpf.LoadLb()
	if err != nil {
		return nil, fmt.Errorf("read the datapath's object: %w", err)
	}
	if d.options.edit != nil {
		d.options.edit(spec)
	}
	return spec, d.configure(spec)
}

// configure sets what is fixed at load time: sizes, the Toeplitz tables, the secret.
func (d *Datapath) configure(spec *ebpf.CollectionSpec) error {
	l := d.options.Limits
	// The index holds the services and their addresses.
	serviceBuckets, revNatBuckets := bucketsFor(2*l.Services), bucketsFor(l.Replicas)
	establishedLines, halfOpenLines := l.Flows/bpf.RecordEntries, l.Flows/4/bpf.RecordEntries
	tokenRate := d.options.TokenRate
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count CPUs: %w", err)
	}
	if d.options.manualClock {
		tokenRate = 0
	}
	for name, size := range map[string]uint32{
		bpf.LbMapServiceIndex: serviceBuckets, bpf.LbMapServices: rowsFor(l), bpf.LbMapRetiredCounts: l.Services,
		bpf.LbMapEstablished: establishedLines, bpf.LbMapHalfOpen: halfOpenLines,
		bpf.LbMapRevNatIndex: revNatBuckets, bpf.LbMapRevNats: l.Replicas,
		bpf.LbMapReplicas: l.Replicas, bpf.LbMapByReplica: l.Replicas,
		bpf.LbMapFibCache: uint32(cpus) * bpf.FIBCacheEntries,
		// Behind the slots are the lists of replicas, old and new.
		bpf.LbMapSlots: l.Slots + 2*l.Replicas,
		// The ordinary program has no samples; this is the smallest size.
		bpf.LbMapSamples: uint32(os.Getpagesize()),
	} {
		spec.Maps[name].MaxEntries = size
	}
	for name, value := range map[string]any{
		bpf.LbVarServiceBucketsLast:   serviceBuckets - 1,
		bpf.LbVarRevNatBucketsLast:    revNatBuckets - 1,
		bpf.LbVarToeplitzRows:         toeplitzRows(d.options.ToeplitzKey),
		bpf.LbVarEstablishedLinesLast: establishedLines - 1,
		bpf.LbVarHalfOpenLinesLast:    halfOpenLines - 1,
		bpf.LbVarSecret:               d.secret,
		bpf.LbVarTokenRate:            tokenRate,
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

// rowsFor is the number of rows of services: one for each service, one for what replaces it, one for its
// address.
func rowsFor(l lb.Limits) uint32 { return 3 * l.Services }

// toeplitzRows returns what each value of each byte of an IPv6 4-tuple adds to the hash.
func toeplitzRows(k rss.Key) (rows [36][256]uint32) {
	copy(rows[:], rss.NewTables(k, len(rows)).Rows())
	return rows
}
