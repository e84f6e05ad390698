//go:build goexperiment.simd && amd64

package rss

import "simd/archsimd"

// width is the number of flows in one step: 512 bits of 32-bit words.
const width = 16

// vector is a key in the form of bit matrices. The hash is linear over GF(2), so an input
// byte adds to each of the 4 bytes of the hash its product with an 8x8 matrix of bits, and
// VGF2P8AFFINEQB multiplies 64 bytes in one instruction, each 8 of them by a matrix of their own.
// So the input is shuffled until the 8 bytes of each such group are the same byte of 8 flows.
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
	// ports is as words, for the ports of an IPv6 input.
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
