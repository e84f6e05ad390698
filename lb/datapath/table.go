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

// table is a memory-mappable BPF array: a store to a row is a store to what packets
// read. The zero value has no rows.
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

// tables are the arrays that packets are forwarded by.
type tables struct {
	serviceIndex, originIndex table[bpf.LbBucket]
	services                  table[bpf.LbService]
	slots                     table[bpf.LbSlot]
	replicas                  table[bpf.LbReplica]
	origins                   table[bpf.LbOrigin]
	flows, embryos            table[bpf.LbRecords]
	left                      table[bpf.LbCount] // by service id: what replicas got that left it
	settings                  table[bpf.LbSetting]
}

// mapTables maps the tables of the loaded program.
func (d *Datapath) mapTables() error {
	t, m := &d.tables, &d.objects.LbMaps
	var errs [10]error
	t.serviceIndex, errs[0] = mapTable[bpf.LbBucket](m.ServiceIndex)
	t.originIndex, errs[1] = mapTable[bpf.LbBucket](m.OriginIndex)
	t.services, errs[2] = mapTable[bpf.LbService](m.Services)
	t.slots, errs[3] = mapTable[bpf.LbSlot](m.Slots)
	t.replicas, errs[4] = mapTable[bpf.LbReplica](m.Replicas)
	t.origins, errs[5] = mapTable[bpf.LbOrigin](m.Origins)
	t.flows, errs[6] = mapTable[bpf.LbRecords](m.Flows)
	t.embryos, errs[7] = mapTable[bpf.LbRecords](m.Embryos)
	t.left, errs[8] = mapTable[bpf.LbCount](m.ByService)
	t.settings, errs[9] = mapTable[bpf.LbSetting](m.Settings)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	t.forgetWays() // empty lines are from epoch 0
	return nil
}

func (t *tables) unmap() error {
	return errors.Join(t.serviceIndex.unmap(), t.originIndex.unmap(), t.services.unmap(),
		t.slots.unmap(), t.replicas.unmap(), t.origins.unmap(), t.flows.unmap(), t.embryos.unmap(), t.left.unmap(), t.settings.unmap())
}

// slot returns the word of a slot, which packets change, too.
func (t *tables) slot(at uint32) *uint64 {
	return (*uint64)(unsafe.Pointer(&t.slots.rows[at]))
}

func (t *tables) readSlot(at uint32) bpf.Slot { return bpf.Slot(atomic.LoadUint64(t.slot(at))) }

// swapSlot changes a slot unless a packet was faster.
func (t *tables) swapSlot(at uint32, was, is bpf.Slot) bool {
	return atomic.CompareAndSwapUint64(t.slot(at), uint64(was), uint64(is))
}

func (t *tables) serviceAt() index { return index(t.serviceIndex.rows) }
func (t *tables) originAt() index  { return index(t.originIndex.rows) }

// forgetWays ends the life of the ways to clients that packets have heard of from the kernel.
func (t *tables) forgetWays() { atomic.AddUint32(&t.settings.rows[0].Epoch, 1) }
