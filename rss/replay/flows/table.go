// Package flows is a table of flows for tens of millions of them: an open-addressing
// index with slots of 8 bytes over entries of 64 bytes that never move, at most 100 bytes for each
// flow.
package flows

import (
	"errors"
	"hash/maphash"
	"iter"
	"unsafe"

	"golang.org/x/sys/unix"

	"lbctl/rss"
)

// Entry is a flow, in one cache line. The caller may change all fields.
type Entry struct {
	key Key
	// Packets and Bytes are the flow's as the NIC sees it.
	Packets, Bytes uint64
	// Hash and Queue are those of the first packet.
	Hash  uint32
	Queue rss.Queue
	Marks Mark
}

// Mark is a set of flags of the caller.
type Mark uint16

// Key returns the flow's key.
func (e *Entry) Key() *Key { return &e.key }

// MaxFlows is the most flows that a table holds.
const MaxFlows = 1<<32 - 2

// ErrFull: the table has MaxFlows flows.
var ErrFull = errors.New("flow table is full")

const (
	chunkBits = 16 // entries in a chunk: 4 MiB
	chunkSize = 1 << chunkBits
	minPlaces = 1 << 10
)

// Table holds entries by key, in the order in which they were added. The zero value
// is not ready, New makes one. It is not safe for concurrent use.
type Table struct {
	// index is open-addressed with linear probing; a slot has the number of an entry plus one in
	// its lower half and the key's tag in its upper half, or 0. At most 3/4 of the slots are used.
	index []uint64
	// chunks have the entries; a chunk never moves.
	chunks [][]Entry
	len    int
	seed   maphash.Seed
	// touched is written by Warm and never read.
	touched uint64
}

// New returns an empty table. Its hash seed is random, so that no sender can make flows collide;
// the results do not depend on it.
func New() *Table {
	return &Table{index: make([]uint64, minPlaces), seed: maphash.MakeSeed()}
}

// Len returns the number of entries.
func (t *Table) Len() int { return t.len }

// At returns the entry with a number below Len.
func (t *Table) At(number int) *Entry { return &t.chunks[number>>chunkBits][number&(chunkSize-1)] }

// All returns the entries in the order in which they were added.
func (t *Table) All() iter.Seq2[int, *Entry] {
	return func(yield func(int, *Entry) bool) {
		for i := range t.len {
			if !yield(i, t.At(i)) {
				return
			}
		}
	}
}

// Find returns the number of a key's entry; false when there is none.
func (t *Table) Find(k *Key) (number int, found bool) {
	number, _, _ = t.find(k)
	return number, number >= 0
}

// find returns the number of a key's entry, or -1, its slot in the index, and its tag.
func (t *Table) find(k *Key) (number int, place, tag uint64) {
	hash := maphash.Bytes(t.seed, k[:])
	mask, tag := uint64(len(t.index)-1), hash>>32
	for place = hash & mask; ; place = (place + 1) & mask {
		at := t.index[place]
		if at == 0 {
			return -1, place, tag
		}
		if at>>32 == tag {
			if n := int(uint32(at)) - 1; t.At(n).key == *k {
				return n, place, tag
			}
		}
	}
}

// Get returns the entry of a key and its number. If there is none it adds one with
// the key and zeros. The pointer stays valid. The error is ErrFull.
func (t *Table) Get(k *Key) (number int, e *Entry, err error) {
	number, place, tag := t.find(k)
	if number >= 0 {
		return number, t.At(number), nil
	}
	if t.len == MaxFlows {
		return 0, nil, ErrFull
	}
	if t.len >= len(t.index)/4*3 {
		t.grow()
		_, place, tag = t.find(k)
	}
	if t.len&(chunkSize-1) == 0 {
		t.chunks = append(t.chunks, huge[Entry](chunkSize))
	}
	t.len++
	t.index[place] = tag<<32 | uint64(t.len)
	e = t.At(t.len - 1)
	e.key = *k
	return t.len - 1, e, nil
}

// grow doubles the index. It hashes the keys again, because entries do not have room for hashes.
func (t *Table) grow() {
	t.index = huge[uint64](2 * len(t.index))
	mask := uint64(len(t.index) - 1)
	for i := range t.len {
		hash := maphash.Bytes(t.seed, t.At(i).key[:])
		place := hash & mask
		for t.index[place] != 0 {
			place = (place + 1) & mask
		}
		t.index[place] = hash>>32<<32 | uint64(i+1)
	}
}

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
