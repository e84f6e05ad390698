//go:build goexperiment.simd && amd64

package rss

import "simd/archsimd"

// shuffles are the orders in which the vector code moves bytes and qwords.
type shuffles struct {
	// gather makes of 16 numbers the qwords that vector.words multiplies.
	gather [64]uint8
	// low and high make of 8 addresses, 4 in each of two vectors, the qwords of
	// their bytes 0 to 7 and 8 to 15.
	low, high [64]uint8
	// scatter makes of the 4 bytes of 16 hashes, byte 0 of all first, 16 numbers.
	scatter [64]uint8
	// halves, quarters and eighths pick, each in two vectors, the two sets of qwords of a pair of
	// vectors that are added to fold 8 qwords a flow and byte to 4, 4 to 2, and 2 to 1.
	halves, quarters, eighths [2][8]uint64
}

func newShuffles() (s shuffles) {
	for i := range 64 {
		group, flow := i/8, i%8
		s.gather[i] = uint8(4*(8*(group/4)+flow) + 3 - group%4) // a number's last byte comes first
		s.low[i] = uint8(16*flow + group)
		s.high[i] = s.low[i] + 8
		s.scatter[i] = uint8(16*(3-i%4) + i/4)
	}
	s.halves = [2][8]uint64{{0, 1, 2, 3, 8, 9, 10, 11}, {4, 5, 6, 7, 12, 13, 14, 15}}
	s.quarters = [2][8]uint64{{0, 1, 4, 5, 8, 9, 12, 13}, {2, 3, 6, 7, 10, 11, 14, 15}}
	s.eighths = [2][8]uint64{{0, 2, 4, 6, 8, 10, 12, 14}, {1, 3, 5, 7, 9, 11, 13, 15}}
	return s
}

// numbers loads 16 numbers as the qwords that vector.words multiplies.
func (s *shuffles) numbers(n *[width]uint32) archsimd.Uint8x64 {
	return archsimd.LoadUint32x16(n).AsUint8x64().Permute(archsimd.LoadUint8x64(&s.gather))
}

// fold adds the two sets of qwords of a pair that order picks.
func fold(x, y archsimd.Uint64x8, order *[2][8]uint64) archsimd.Uint64x8 {
	low, high := archsimd.LoadUint64x8(&order[0]), archsimd.LoadUint64x8(&order[1])
	return x.ConcatPermute(y, low).Xor(x.ConcatPermute(y, high))
}

// pair joins 8 flows and 8 flows, with 4 qwords to be summed for each.
func (s *shuffles) pair(x, y archsimd.Uint64x8) archsimd.Uint64x8 { return fold(x, y, &s.halves) }

// finish sums what was computed for the 4 bytes of 16 hashes, and puts the bytes together.
func (s *shuffles) finish(h0, h1, h2, h3 archsimd.Uint64x8) archsimd.Uint32x16 {
	h := fold(fold(h0, h1, &s.quarters), fold(h2, h3, &s.quarters), &s.eighths)
	return h.AsUint8x64().Permute(archsimd.LoadUint8x64(&s.scatter)).AsUint32x16()
}
