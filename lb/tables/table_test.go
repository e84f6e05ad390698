package tables

import (
	"errors"
	"runtime/debug"
	"slices"
	"testing"
	"unsafe"

	"lbctl/bpf/need"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// wide is a row of which windows hold no power of two of bytes.
type wide struct{ A, B, C uint64 }

// wideTable returns a table of several windows, the last of which is short, and its array.
func wideTable(t *testing.T) (*Table[wide], *ebpf.Map) {
	t.Helper()
	need.Root(t)
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "wide", Type: ebpf.Array, KeySize: 4, ValueSize: 24, MaxEntries: 20_001, Flags: unix.BPF_F_MMAPABLE})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	table, err := Map[wide](m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := table.Unmap(); err != nil {
			t.Error("unmap:", err)
		}
	})
	if n := len(table.mapped); n < 4 {
		t.Fatalf("%d windows are too few for this test", n)
	}
	return &table, m
}

// A row is that of the array, whichever window it is in, and has the same address each time it is mapped.
func TestRow(t *testing.T) {
	table, m := wideTable(t)
	first := make([]*wide, table.Len())
	for at := range first {
		first[at] = table.Row(uint32(at))
		*first[at] = wide{uint64(at), ^uint64(at), 7}
	}
	for at := range first {
		var is wide
		if err := m.Lookup(uint32(at), &is); err != nil || is != (wide{uint64(at), ^uint64(at), 7}) {
			t.Fatalf("row %d of the array is %v (%v)", at, is, err)
		}
	}
	table.Release()
	last := uint32(table.Len() - 1)
	for _, at := range []uint32{last, 0, last / 2, 1} {
		if row := table.Row(at); row != first[at] || row.A != uint64(at) {
			t.Errorf("row %d: %v at %p after it was unmapped, want it at %p", at, *row, row, first[at])
		}
	}
}

// onlyMapped checks that these windows are mapped and the first one, and no others.
func onlyMapped(t *testing.T, table *Table[wide], what string, want []int) {
	t.Helper()
	for at, is := range table.mapped {
		if wanted := at == 0 || slices.Contains(want, at); is != wanted {
			t.Errorf("%s: window %d is mapped: %v, want %v", what, at, is, wanted)
		}
	}
	if n := table.memory.open; n != len(want) {
		t.Errorf("%s: %d windows are counted, want %d", what, n, len(want))
	}
}

// Only what is asked for is mapped, and after Release the first window alone.
func TestMapped(t *testing.T) {
	table, _ := wideTable(t)
	window, end := uint32(1)<<table.shift, uint32(table.Len())
	check := func(what string, want ...int) {
		t.Helper()
		onlyMapped(t, table, what, want)
	}
	check("at first")
	table.Row(window)
	check("a row", 1)
	table.Release()
	check("released")
	table.Span(window-1, 1)
	check("a row as a span")
	table.Span(window-1, 2)
	check("two rows", 1)
	table.Span(end, 0)
	table.Span(2*window, end-2*window)
	last := len(table.mapped) - 1
	all := make([]int, last)
	for i := range all {
		all[i] = i + 1
	}
	check("the other rows", all...)
	table.Release()
	table.Row(end - 1)
	passed := uint32(0)
	for at, row := range table.Pass() {
		if at != passed || row != &table.rows[at] {
			t.Fatalf("row %d at %p is yielded after %d rows", at, row, passed)
		}
		if passed++; at == window+1 {
			table.Release() // what is done with a row may do so
			table.Row(end - 1)
		}
	}
	if passed != end {
		t.Errorf("%d of %d rows are yielded", passed, end)
	}
	check("passed", last)
	for at := range table.Pass() {
		if at == window {
			break
		}
	}
	check("a pass that ended early", last)
}

// A pointer that outlives its window faults: it cannot lead to another row, or to anything else.
func TestStalePointer(t *testing.T) {
	table, _ := wideTable(t)
	stale := table.Row(uint32(table.Len() - 1))
	table.Release()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() == nil {
			t.Error("a store by a pointer into a window that is not mapped any more went somewhere")
		}
	}()
	stale.A = 1
}

// An array is frozen by nobody while a daemon uses it, whatever it has mapped.
func TestNobodyFreezes(t *testing.T) {
	table, m := wideTable(t)
	table.Release()
	if err := m.Freeze(); !errors.Is(err, unix.EBUSY) {
		t.Errorf("freeze the array: %v, want %v", err, unix.EBUSY)
	}
}

// Who unmaps a table in the middle of a pass, like one who closes a datapath while it is verified, gets the addresses back for good.
func TestUnmapInPass(t *testing.T) {
	table, _ := wideTable(t)
	addresses, bytes := unsafe.Pointer(unsafe.SliceData(table.memory.reserved)), uintptr(len(table.memory.reserved))
	window := uint32(1) << table.shift
	for at := range table.Pass() {
		if at < window {
			continue
		}
		if err := table.Unmap(); err != nil {
			t.Fatal(err)
		}
		break
	}
	const onlyIfFree = unix.MAP_FIXED_NOREPLACE
	at, err := unix.MmapPtr(-1, 0, addresses, bytes, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|onlyIfFree)
	if err != nil {
		t.Fatal("the addresses of a table that was unmapped are in use:", err)
	}
	if err := unix.MunmapPtr(at, bytes); err != nil {
		t.Error(err)
	}
}
