package tables

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"
	"slices"

	"lbctl/bpf"
	"lbctl/lb"
)

// Index is a hash index: in which row of a table an endpoint is. It is service_index or rev_nat_index. Packets
// read it while it is written, so every change is one aligned store, and a row is complete before the store
// that makes it visible.
type Index struct {
	buckets *Table[bpf.LbBucket]
	steps   *Steps
}

// BucketsFor returns the number of buckets of an index for so many endpoints: a power of two, such that a
// bucket holds two on average. The probability that one overflows is then some 1e-11.
func BucketsFor(endpoints uint32) uint32 {
	return 1 << max(1, bits.Len32((endpoints-1)/2))
}

// EndpointHash is endpoint_hash of bpf/src/find.h.
func EndpointHash(e bpf.LbEndpoint) uint64 {
	high, middle := binary.NativeEndian.Uint64(e.Address[:8]), binary.NativeEndian.Uint32(e.Address[8:])
	rest := uint64(binary.NativeEndian.Uint16(e.Port[:])) | uint64(e.Protocol)<<16 | uint64(e.IpVersion)<<24
	h := uint64(binary.BigEndian.Uint32(e.Address[12:])) | rest<<32
	if e.IpVersion != 4 {
		h ^= high*0xbf58476d1ce4e5b9 + uint64(middle)*0x94d049bb133111eb
	}
	return h * 0x9e3779b97f4a7c15
}

// formerHash is that of indexes that are not flat.
func formerHash(e bpf.LbEndpoint) uint32 {
	high, low := binary.NativeEndian.Uint64(e.Address[:8]), binary.NativeEndian.Uint64(e.Address[8:])
	rest := uint64(binary.NativeEndian.Uint16(e.Port[:])) | uint64(e.Protocol)<<16 | uint64(e.IpVersion)<<24
	h := high*0xbf58476d1ce4e5b9 ^ low ^ rest
	h ^= h >> 32
	return uint32(h * 0x9e3779b97f4a7c15 >> 32)
}

// Bucket returns the number of an endpoint's bucket.
func (x Index) Bucket(e bpf.LbEndpoint) uint32 {
	if n := uint32(x.buckets.Len()); x.buckets.flat {
		return uint32(EndpointHash(e) >> bpf.Shift(n))
	} else {
		return formerHash(e) & (n - 1)
	}
}

func (x Index) of(e bpf.LbEndpoint) *bpf.LbBucket { return x.buckets.Row(x.Bucket(e)) }

// Add makes a row visible under an endpoint. Errors: lb.ErrFull.
func (x Index) Add(e bpf.LbEndpoint, row uint32) error {
	b := x.of(e)
	free := slices.Index(b.Row[:], 0)
	if free < 0 {
		return fmt.Errorf("%w: bucket of %v: %d endpoints share it, an accident of their numbers", lb.ErrFull, e.AddrPort(), len(b.Row))
	}
	x.steps.store32(&b.Row[free], row+1)
	return nil
}

// Replace makes another row visible in place of a visible one.
func (x Index) Replace(e bpf.LbEndpoint, row, by uint32) {
	b := x.of(e)
	x.steps.store32(&b.Row[slices.Index(b.Row[:], row+1)], by+1)
}

// Remove makes a row invisible, if it is visible. The last row of the bucket first takes its place, so that no
// packet misses that row.
func (x Index) Remove(e bpf.LbEndpoint, row uint32) {
	b := x.of(e)
	at := slices.Index(b.Row[:], row+1)
	if at < 0 {
		return
	}
	last := at
	for last+1 < len(b.Row) && b.Row[last+1] != 0 {
		last++
	}
	x.steps.store32(&b.Row[at], b.Row[last])
	x.steps.store32(&b.Row[last], 0)
}

// Has reports whether a row is visible under an endpoint.
func (x Index) Has(e bpf.LbEndpoint, row uint32) bool { return slices.Contains(x.of(e).Row[:], row+1) }

// Deviation is a bucket in which other rows are visible than must be, or one of them twice or behind a gap.
type Deviation struct {
	Bucket     int
	Want, Have []uint32
}

// Deviations compares what is visible with the rows that must be, and no others.
func (x Index) Deviations(rows map[uint32]bpf.LbEndpoint) (all []Deviation) {
	want := make(map[uint32][]uint32, len(rows))
	for row, e := range rows {
		want[x.Bucket(e)] = append(want[x.Bucket(e)], row)
	}
	for i := range x.buckets.Len() {
		d := Deviation{Bucket: i, Want: want[uint32(i)], Have: x.in(i)}
		slices.Sort(d.Want)
		if !x.gapless(i) || !slices.Equal(slices.Sorted(slices.Values(d.Have)), d.Want) {
			all = append(all, d)
		}
	}
	return all
}

// Restore makes the rows of a bucket visible that must be, and no others.
func (x Index) Restore(d Deviation) {
	b := x.buckets.Row(uint32(d.Bucket))
	for at := range b.Row {
		row := uint32(0)
		if at < len(d.Want) {
			row = d.Want[at] + 1
		}
		x.steps.store32(&b.Row[at], row)
	}
}

// Sound reports whether nothing contradicts itself in a bucket: every row in it belongs there, and is there once. It costs less
// than Deviations, but cannot tell what is missing.
func (x Index) Sound(bucket int, belongs func(row uint32) (bpf.LbEndpoint, bool)) bool {
	seen := &x.buckets.Row(uint32(bucket)).Row
	for at, row := range seen {
		if row == 0 {
			return x.gapless(bucket)
		}
		e, is := belongs(row - 1)
		if !is || x.Bucket(e) != uint32(bucket) || slices.Contains(seen[:at], row) {
			return false
		}
	}
	return true
}

// gapless reports whether packets, which stop at the first 0, see all rows of a bucket.
func (x Index) gapless(bucket int) bool {
	end := false
	for _, row := range x.buckets.Row(uint32(bucket)).Row {
		if end && row != 0 {
			return false
		}
		end = end || row == 0
	}
	return true
}

// in returns the rows in a bucket.
func (x Index) in(bucket int) (rows []uint32) {
	for _, row := range x.buckets.Row(uint32(bucket)).Row {
		if row != 0 {
			rows = append(rows, row-1)
		}
	}
	return rows
}

// Buckets is the number of buckets.
func (x Index) Buckets() int { return x.buckets.Len() }

// Rows yields every visible row once. If a process ended in the middle of Remove, the last row of a bucket is there
// twice.
func (x Index) Rows() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for _, bucket := range x.buckets.Pass() {
			seen := bucket.Row // what is done with a row may void the pointer
			for at, row := range seen {
				if row != 0 && !slices.Contains(seen[:at], row) && !yield(row-1) {
					return
				}
			}
		}
	}
}
