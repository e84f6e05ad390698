package datapath

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"lbctl/bpf"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// table is a memory-mapped BPF array: a store to a row is a store to what packets read. The zero value has no
// rows.
type table[T any] struct {
	memory []byte
	rows   []T
}

// mapTable maps an array map whose values are T.
func mapTable[T any](m *ebpf.Map) (table[T], error) {
	var row T
	if size := m.ValueSize(); size != uint32(unsafe.Sizeof(row)) {
		return table[T]{}, fmt.Errorf("map %v: value of %d bytes, want %d", m, size, unsafe.Sizeof(row))
	}
	bytes := int(m.MaxEntries()) * int(unsafe.Sizeof(row))
	memory, err := unix.Mmap(m.FD(), 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return table[T]{}, fmt.Errorf("mmap %v: %w", m, err)
	}
	rows := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(memory))), m.MaxEntries())
	return table[T]{memory: memory, rows: rows}, nil
}

func (t *table[T]) unmap() error {
	if t.memory == nil {
		return nil
	}
	memory := t.memory
	*t = table[T]{}
	return unix.Munmap(memory)
}

// tables are the arrays by which packets are forwarded.
type tables struct {
	serviceIndex, revNatIndex table[bpf.LbBucket]
	services                  table[bpf.LbService]
	slots                     table[bpf.LbSlot]
	replicas                  table[bpf.LbReplica]
	revNats                   table[bpf.LbRevNat]
	established, halfOpen     table[bpf.LbRecords]
	retiredCounts             table[bpf.LbCount] // by service id: what removed replicas had got
	settings                  table[bpf.LbSetting]
}

// mapTables maps the tables of the loaded program.
func (d *Datapath) mapTables() error {
	t, m := &d.tables, &d.objects.LbMaps
	var errs [10]error
	t.serviceIndex, errs[0] = mapTable[bpf.LbBucket](m.ServiceIndex)
	t.revNatIndex, errs[1] = mapTable[bpf.LbBucket](m.RevNatIndex)
	t.services, errs[2] = mapTable[bpf.LbService](m.Services)
	t.slots, errs[3] = mapTable[bpf.LbSlot](m.Slots)
	t.replicas, errs[4] = mapTable[bpf.LbReplica](m.Replicas)
	t.revNats, errs[5] = mapTable[bpf.LbRevNat](m.RevNats)
	t.established, errs[6] = mapTable[bpf.LbRecords](m.Established)
	t.halfOpen, errs[7] = mapTable[bpf.LbRecords](m.HalfOpen)
	t.retiredCounts, errs[8] = mapTable[bpf.LbCount](m.RetiredCounts)
	t.settings, errs[9] = mapTable[bpf.LbSetting](m.Settings)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	t.invalidateFIBCache() // empty lines are from epoch 0
	return nil
}

func (t *tables) unmap() error {
	return errors.Join(t.serviceIndex.unmap(), t.revNatIndex.unmap(), t.services.unmap(),
		t.slots.unmap(), t.replicas.unmap(), t.revNats.unmap(), t.established.unmap(), t.halfOpen.unmap(), t.retiredCounts.unmap(), t.settings.unmap())
}

// slot returns the word of a slot. Packets change it, too.
func (t *tables) slot(at uint32) *uint64 {
	return (*uint64)(unsafe.Pointer(&t.slots.rows[at]))
}

func (t *tables) readSlot(at uint32) bpf.Slot { return bpf.Slot(atomic.LoadUint64(t.slot(at))) }

// swapSlot replaces a slot. It returns false if a packet has changed it meanwhile.
func (t *tables) swapSlot(at uint32, was, is bpf.Slot) bool {
	return atomic.CompareAndSwapUint64(t.slot(at), uint64(was), uint64(is))
}

func (t *tables) serviceAt() index { return index(t.serviceIndex.rows) }
func (t *tables) revNatAt() index  { return index(t.revNatIndex.rows) }

// invalidateFIBCache makes all entries of the FIB cache void.
func (t *tables) invalidateFIBCache() { atomic.AddUint32(&t.settings.rows[0].Epoch, 1) }
