package tables

import (
	"fmt"
	"iter"
	"math/bits"
	"os"
	"unsafe"

	"lbctl/bpf"

	"github.com/cilium/ebpf"
)

// Table is a memory-mapped BPF array: a store to a row is a store to what packets read. The zero value has no rows.
//
// A row is mapped when it is asked for, and a pointer to it is valid until Release, of the table or of Tables, and Trim.
// So a table is for one goroutine at a time, even to read it; but for row 0 and those next to it, as memory says.
type Table[T any] struct {
	rows []T
	// mapped tells which windows of 1<<shift rows are.
	mapped []bool
	shift  uint8
	// flat: it is a flat table of maps.h, which those of former layouts are not.
	flat   bool
	memory *memory
	steps  *Steps
}

// Map prepares to map an array map whose values are T, or a flat table of T.
func Map[T any](m *ebpf.Map) (Table[T], error) {
	var row T
	size := int(unsafe.Sizeof(row))
	n, flat := bpf.Rows(m, uint32(size))
	if n == 0 {
		return Table[T]{}, fmt.Errorf("map %v: value of %d bytes, want %d, or as many times that as there are rows", m, m.ValueSize(), size)
	}
	shift := windowShift(size)
	all, err := newMemory(m, int(n)*size, size<<shift)
	if err != nil {
		return Table[T]{}, err
	}
	rows := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(all.reserved))), n)
	return Table[T]{rows: rows, mapped: all.mapped, shift: shift, flat: flat, memory: all}, nil
}

// windowShift returns the least number such that 1 shifted by it is a number of rows which are whole pages, and leastWindow at least.
func windowShift(row int) uint8 {
	pages := bits.TrailingZeros(uint(os.Getpagesize())) - bits.TrailingZeros(uint(row))
	return uint8(max(0, pages, bits.Len(uint((leastWindow-1)/row))))
}

// Len is the number of rows.
func (t *Table[T]) Len() int { return len(t.rows) }

// Row returns a row.
func (t *Table[T]) Row(at uint32) *T {
	row := &t.rows[at]
	if window := at >> t.shift; !t.mapped[window] {
		t.memory.need(window)
	}
	return row
}

// Span returns n rows from one on.
func (t *Table[T]) Span(from, n uint32) []T {
	rows := t.rows[from:][:n]
	for at := from; at-from < n; at = (at>>t.shift + 1) << t.shift {
		t.Row(at)
	}
	return rows
}

// Pass yields all rows. What it maps for that it unmaps when it is through with a window: a pointer to a row is not valid
// any longer than until the next row is yielded.
func (t *Table[T]) Pass() iter.Seq2[uint32, *T] {
	return func(yield func(uint32, *T) bool) {
		for window := range t.mapped {
			if !t.passWindow(window, yield) {
				return
			}
		}
	}
}

func (t *Table[T]) passWindow(window int, yield func(uint32, *T) bool) bool {
	if !t.mapped[window] {
		defer t.memory.drop(window)
	}
	from := window << t.shift
	for at := from; at < min(from+1<<t.shift, len(t.rows)); at++ {
		if !yield(uint32(at), t.Row(uint32(at))) {
			return false
		}
	}
	return true
}

// Put writes a row that no packet may be reading.
func (t *Table[T]) Put(at uint32, is T) { put(t.steps, t.Row(at), is) }

// Release unmaps what need not be mapped.
func (t *Table[T]) Release() {
	if t.memory != nil {
		t.memory.release()
	}
}

// Unmap removes the mapping, if there is one.
func (t *Table[T]) Unmap() error {
	if t.memory == nil {
		return nil
	}
	all := t.memory
	*t = Table[T]{}
	return all.end()
}
