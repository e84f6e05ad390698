//go:build goexperiment.simd && amd64

package rss

import (
	"simd/archsimd"
)

// width is the number of flows in one step: 512 bits of 32-bit words.
const width = 16

// vector is a key in the form of bit matrices. The hash is linear over GF(2), so an input
// byte adds to each of the 4 bytes of the hash its product with an 8x8 matrix of bits.
// VGF2P8AFFINEQB multiplies 64 bytes in one instruction, each group of 8 by its own matrix, so
// the input is shuffled until a group holds the same input byte of 8 flows.
//
// Idea: linearity as in Tables; the instruction's use for Toeplitz is DPDK's rte_thash_gfni.h.
type vector struct {
	// words[place][out] multiplies the 32-bit word of 16 flows that begins at byte 4*place
	// of an IPv4 input, for byte out of the hash. Qwords 0 to 3 are for bytes 0 to 3 of the word
	// in flows 0 to 7, 4 to 7 for those in flows 8 to 15.
	words [3][4][8]uint64
	// halves[place][out] multiplies the 8 bytes of 8 flows that begin at byte 8*place of
	// an IPv6 input. Qword i is for byte i of them.
	halves [4][4][8]uint64
	// ports is like words, for the ports of an IPv6 input.
	ports [4][8]uint64
	order shuffles
}

// newVector returns nil when the CPU lacks an instruction.
func newVector(key Key) *vector {
	if !archsimd.X86.AVX512() || !archsimd.X86.AVX512GFNI() || !archsimd.X86.AVX512VBMI() {
		return nil
	}
	rows := NewTables(key, IPv6TupleLength).rows
	v := &vector{order: newShuffles()}
	for out := range 4 {
		for i := range 8 {
			for place := range v.words {
				v.words[place][out][i] = matrix(&rows[4*place+i%4], out)
			}
			for place := range v.halves {
				v.halves[place][out][i] = matrix(&rows[8*place+i], out)
			}
			v.ports[out][i] = matrix(&rows[32+i%4], out)
		}
	}
	return v
}

// matrix returns what an input byte adds to byte out of the hash, 0 the most significant, in
// the instruction's form: byte 7-i of it holds the input bits whose parity is bit i.
func matrix(row *[256]uint32, out int) (m uint64) {
	for in := range 8 {
		added := byte(row[1<<in] >> (24 - 8*out))
		for i := range 8 {
			m |= uint64(added>>i&1) << (8*(7-i) + in)
		}
	}
	return m
}

// shuffles are the orders in which the vector code moves bytes and qwords.
type shuffles struct {
	// gather turns 16 numbers into the qwords that vector.words multiplies.
	gather [64]uint8
	// low and high turn 8 addresses, 4 in each of two vectors, into the qwords of
	// their bytes 0 to 7 and 8 to 15.
	low, high [64]uint8
	// scatter turns the 4 bytes of 16 hashes, byte 0 of all first, into 16 numbers.
	scatter [64]uint8
	// halves, quarters and eighths each pick from a pair of vectors the two sets of qwords that fold
	// adds: 8 qwords for each flow and byte become 4, then 2, then 1.
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

// pair joins two vectors of 8 flows; 4 qwords are left to be summed for each flow.
func (s *shuffles) pair(x, y archsimd.Uint64x8) archsimd.Uint64x8 { return fold(x, y, &s.halves) }

// finish sums what was computed for the 4 bytes of 16 hashes, and puts the bytes together.
func (s *shuffles) finish(h0, h1, h2, h3 archsimd.Uint64x8) archsimd.Uint32x16 {
	h := fold(fold(h0, h1, &s.quarters), fold(h2, h3, &s.quarters), &s.eighths)
	return h.AsUint8x64().Permute(archsimd.LoadUint8x64(&s.scatter)).AsUint32x16()
}
