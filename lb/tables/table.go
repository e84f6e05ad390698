package tables

import (
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Table is a memory-mapped BPF array: a store to a row is a store to what packets read. The zero value has
// no rows.
type Table[T any] struct {
	Rows   []T
	memory []byte
	steps  *Steps
}

// Put writes a row that no packet may be reading.
func (t *Table[T]) Put(at uint32, is T) { put(t.steps, &t.Rows[at], is) }

// Map maps an array map whose values are T.
func Map[T any](m *ebpf.Map) (Table[T], error) {
	var row T
	if size := m.ValueSize(); size != uint32(unsafe.Sizeof(row)) {
		return Table[T]{}, fmt.Errorf("map %v: value of %d bytes, want %d", m, size, unsafe.Sizeof(row))
	}
	bytes := int(m.MaxEntries()) * int(unsafe.Sizeof(row))
	memory, err := unix.Mmap(m.FD(), 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return Table[T]{}, fmt.Errorf("mmap %v: %w", m, err)
	}
	rows := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(memory))), m.MaxEntries())
	return Table[T]{Rows: rows, memory: memory}, nil
}

// Unmap removes the mapping, if there is one. The rows must not be used after it.
func (t *Table[T]) Unmap() error {
	if t.memory == nil {
		return nil
	}
	memory := t.memory
	*t = Table[T]{}
	return unix.Munmap(memory)
}
