package datapath

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/xdp"

	"github.com/cilium/ebpf"
)

// schema is the version of the layout of all pinned tables. A program needs tables of its own version. Tables
// from before there were versions count as 0.
const schema = 4

// settings reads the secret of the keys of flows from the pinned settings, or makes and pins one. It is pinned
// before any other table, so tables without it are of an older version. Errors: lb.ErrConflict when what is
// pinned has another schema.
func (d *Datapath) settings() (secret [4]uint64, err error) {
	m, err := ebpf.NewMapWithOptions(&ebpf.MapSpec{
		Name: bpf.LbMapSettings, Type: ebpf.Array, KeySize: 4, ValueSize: uint32(binary.Size(bpf.LbSetting{})), MaxEntries: 1,
		Flags: mapMmapable, Pinning: ebpf.PinByName,
	}, ebpf.MapOptions{PinPath: d.options.Dir})
	if err != nil {
		return secret, fmt.Errorf("open the settings: %w", xdp.Denied(err))
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
		return secret, d.otherSchema(row.Schema)
	}
	if _, err := os.Stat(filepath.Join(d.options.Dir, bpf.LbMapServices)); !errors.Is(err, os.ErrNotExist) {
		return secret, d.otherSchema(0)
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

func (d *Datapath) otherSchema(found uint32) error {
	return fmt.Errorf("%w: the tables pinned in %s have schema %d and this version needs %d; their rows have another layout, so they "+
		"cannot be carried over: run `lbctl purge`, which ends balancing, then start again", lb.ErrConflict, d.options.Dir, found, schema)
}

// checkLimits checks the limits that the layout of the tables sets.
func (d *Datapath) checkLimits() error {
	flows := d.options.Limits.Flows
	if bits.OnesCount32(flows) != 1 || flows < 1<<10 || flows > 1<<28 {
		return fmt.Errorf("%w: limit of %d flows: want a power of two from 1024 to %d", lb.ErrInvalid, flows, 1<<28)
	}
	if d.options.Limits.Replicas > bpf.ReplicaNone {
		return fmt.Errorf("%w: limit of %d replicas: want at most %d", lb.ErrInvalid, d.options.Limits.Replicas, bpf.ReplicaNone)
	}
	return nil
}
