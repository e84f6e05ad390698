package flows

import (
	"hash/maphash"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxWarm is the most keys that Warm takes.
const MaxWarm = 64

// Warm loads the memory that Get and Find of these keys, at most MaxWarm, will read. Separate look-ups
// wait for memory twice each; here the waits overlap, which with many flows is several times
// faster.
func (t *Table) Warm(keys []Key) {
	var hashes [MaxWarm]uint64
	for i := range keys {
		hashes[i] = maphash.Bytes(t.seed, keys[i][:])
	}
	mask := uint64(len(t.index) - 1)
	var places [MaxWarm]uint64
	for i := range keys {
		places[i] = t.index[hashes[i]&mask]
	}
	var touched uint64
	for i := range keys {
		if at := places[i]; at != 0 {
			touched += t.At(int(uint32(at)) - 1).Packets
		}
	}
	t.touched = touched // so that the compiler keeps the loads
}

const hugePage = 2 << 20

// huge returns a slice of zeros on huge pages if the kernel has them; without, nearly every look-up among millions
// of flows misses the TLB. T has no pointers.
func huge[T any](n int) []T {
	s := make([]T, n)
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), n*int(unsafe.Sizeof(s[0])))
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (hugePage - 1)
	if whole := (len(b) - skip) &^ (hugePage - 1); whole > 0 {
		_ = unix.Madvise(b[skip:skip+whole], unix.MADV_HUGEPAGE) // an error only costs speed
	}
	return s
}
