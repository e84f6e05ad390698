package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/rss"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// programPin is the name of the program's pin; links are link_INDEX, maps bear their names.
const programPin = "lb"

// load loads the program with its tables, pinned ones where there are any.
func (d *Datapath) load() error {
	spec, err := bpf.LoadLb()
	if err != nil {
		return fmt.Errorf("read the datapath's object: %w", err)
	}
	if d.reasons, err = bpf.Reasons(); err != nil {
		return err
	}
	secret, err := d.settings()
	if err != nil {
		return err
	}
	if err := d.configure(spec, secret); err != nil {
		return err
	}
	err = spec.LoadAndAssign(&d.objects, &ebpf.CollectionOptions{
		Maps: ebpf.MapOptions{PinPath: d.options.Dir},
	})
	switch {
	case errors.Is(err, ebpf.ErrMapIncompatible):
		return fmt.Errorf("%w: the tables pinned in %s have other limits or another layout: %v", lb.ErrConflict, d.options.Dir, err)
	case err != nil:
		return fmt.Errorf("load the datapath: %w", denied(err))
	}
	return nil
}

// configure sets what is fixed at load time: sizes and the Toeplitz tables.
func (d *Datapath) configure(spec *ebpf.CollectionSpec, secret [4]uint64) error {
	l := d.options.Limits
	// Beside the services their addresses are found.
	serviceBuckets, originBuckets := bucketsFor(2*l.Services), bucketsFor(l.Replicas)
	rate := gateRate
	if d.options.ungated {
		rate = 0
	}
	for name, size := range map[string]uint32{
		bpf.LbMapServiceIndex: serviceBuckets, bpf.LbMapServices: rowsFor(l), bpf.LbMapByService: l.Services,
		bpf.LbMapOriginIndex: originBuckets, bpf.LbMapOrigins: l.Replicas,
		bpf.LbMapReplicas: l.Replicas, bpf.LbMapByReplica: l.Replicas,
		// Behind the slots stand the lists of replicas, old ones and new.
		bpf.LbMapSlots: l.Slots + 2*l.Replicas,
	} {
		spec.Maps[name].MaxEntries = size
	}
	for name, value := range map[string]any{
		bpf.LbVarServiceBucketsLast: serviceBuckets - 1,
		bpf.LbVarOriginBucketsLast:  originBuckets - 1,
		bpf.LbVarToeplitzRows:       toeplitzRows(d.options.ToeplitzKey),
		bpf.LbVarFlowLinesLast:      spec.Maps[bpf.LbMapFlows].MaxEntries - 1,
		bpf.LbVarEmbryoLinesLast:    spec.Maps[bpf.LbMapEmbryos].MaxEntries - 1,
		bpf.LbVarSecret:             secret,
		bpf.LbVarGateRate:           rate,
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

// gateRate limits, by CPU and second, how often a packet that is too big is answered.
const gateRate uint32 = 2000

// rowsFor is the number of rows of services: the services, what takes the place of each, their
// addresses.
func rowsFor(l lb.Limits) uint32 { return 3 * l.Services }

// toeplitzRows returns what each value of each byte of an IPv6 4-tuple adds to the hash.
func toeplitzRows(k rss.Key) (rows [36][256]uint32) {
	copy(rows[:], rss.NewTables(k, len(rows)).Rows())
	return rows
}

// swapProgram puts the new program under every pinned link and renews its pin.
func (d *Datapath) swapProgram() error {
	for index, l := range d.links {
		if err := l.Update(d.objects.Lb); err != nil {
			return fmt.Errorf("update xdp link of interface %d: %w", index, err)
		}
	}
	pin := filepath.Join(d.options.Dir, programPin)
	next := pin + "_next" // a BPF file system takes no dots in names
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove stale program pin: %w", err)
	}
	// A clone, so that the handle's pin path does not follow the rename.
	p, err := d.objects.Lb.Clone()
	if err != nil {
		return fmt.Errorf("clone program: %w", err)
	}
	defer p.Close()
	if err := p.Pin(next); err != nil {
		return fmt.Errorf("pin program: %w", err)
	}
	return os.Rename(next, pin)
}

// loadLinks opens the pinned links; one whose interface is gone is unpinned.
func (d *Datapath) loadLinks() error {
	pins, err := filepath.Glob(filepath.Join(d.options.Dir, "link_*"))
	if err != nil {
		return err
	}
	for _, pin := range pins {
		l, err := link.LoadPinnedLink(pin, nil)
		if err != nil {
			return fmt.Errorf("open pinned link %s: %w", pin, denied(err))
		}
		index, err := interfaceOf(l)
		if err != nil {
			return fmt.Errorf("inspect pinned link %s: %w", pin, err)
		}
		if index == 0 {
			err := errors.Join(l.Unpin(), l.Close())
			if err != nil {
				return fmt.Errorf("remove link of a vanished interface: %w", err)
			}
			continue
		}
		d.links[index] = l
	}
	return nil
}

// interfaceOf returns the index of the interface that a link holds, 0 if it is gone.
func interfaceOf(l link.Link) (int, error) {
	info, err := l.Info()
	if err != nil {
		return 0, err
	}
	return int(info.XDP().Ifindex), nil
}

// denied marks a refusal for want of privilege as lb.ErrDenied.
func denied(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%w: %w", lb.ErrDenied, err)
	}
	return err
}
