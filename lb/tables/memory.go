package tables

import (
	"fmt"
	"os"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// memory is the values of a BPF array, mapped window by window. The kernel maps all pages of a mapping at once, so all of
// them count as resident: what is not in use is not mapped. Addresses are reserved for the whole array and each value
// has its own for good, mapped or not: a pointer that outlives its window faults, and never leads to something else.
//
// The first window is always mapped. It may be used without a lock, and nobody can freeze an array that is mapped for writing.
type memory struct {
	of       *ebpf.Map
	reserved []byte
	// window is the size of a window in bytes. The last one may be shorter.
	window int
	// mapped tells which windows are, and open how many of them besides the first.
	mapped []bool
	open   int
}

// leastWindow is the least size of a window in bytes. To map one and unmap it costs as much as some system calls.
const leastWindow = 64 << 10

// newMemory reserves addresses for an array, and maps its first window.
func newMemory(m *ebpf.Map, size, window int) (*memory, error) {
	page := os.Getpagesize()
	size = (size + page - 1) / page * page
	reserved, err := unix.Mmap(-1, 0, size, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("reserve addresses for %v: %w", m, err)
	}
	all := &memory{of: m, reserved: reserved, window: window, mapped: make([]bool, (size+window-1)/window)}
	if err := all.mapWindow(0); err != nil {
		_ = unix.Munmap(reserved)
		return nil, err
	}
	all.mapped[0] = true
	return all, nil
}

// need maps a window. It panics when the kernel has no memory for that, as the language does when it has none for a variable.
func (m *memory) need(window uint32) {
	if m.mapped[window] {
		return
	}
	if err := m.mapWindow(int(window)); err != nil {
		panic(err)
	}
	m.mapped[window] = true
	m.open++
}

func (m *memory) mapWindow(n int) error {
	from := n * m.window
	part := m.reserved[from:min(from+m.window, len(m.reserved))]
	_, err := unix.MmapPtr(m.of.FD(), int64(from), unsafe.Pointer(&part[0]), uintptr(len(part)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED)
	if err != nil {
		return fmt.Errorf("map %d bytes from %d of %v: %w", len(part), from, m.of, err)
	}
	return nil
}

// bytes is how much is mapped besides the first window.
func (m *memory) bytes() int { return m.open * m.window }

// release unmaps all windows but the first. Nobody may hold a pointer into one.
func (m *memory) release() {
	for from := 1; m.open > 0; from++ {
		to := from
		for to < len(m.mapped) && m.mapped[to] {
			to++
		}
		if to > from && !m.unmap(from, to) {
			return
		}
		from = to
	}
}

// drop unmaps a window, if it is mapped.
func (m *memory) drop(window int) {
	if m.mapped[window] {
		m.unmap(window, window+1)
	}
}

// unmap unmaps windows that are mapped. If the kernel has no memory for that they stay so.
func (m *memory) unmap(from, to int) bool {
	part := m.reserved[from*m.window : min(to*m.window, len(m.reserved))]
	_, err := unix.MmapPtr(-1, 0, unsafe.Pointer(&part[0]), uintptr(len(part)), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE|unix.MAP_FIXED)
	if err != nil {
		return false
	}
	clear(m.mapped[from:to])
	m.open -= to - from
	return true
}

// end removes the mappings and gives the addresses back, which may be somebody else's from then on: nothing is mapped there again.
func (m *memory) end() error {
	reserved := m.reserved
	m.reserved, m.open = nil, 0
	clear(m.mapped)
	return unix.Munmap(reserved)
}
