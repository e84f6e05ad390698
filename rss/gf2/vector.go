package gf2

import (
	"iter"
	"math/bits"
)

// Vector is a row of bits, bit i in word i/64. Its length is a multiple of 64; the bits past those
// that were asked for are zero and must stay so. The nil vector has no bits.
type Vector []uint64

// Zero returns a vector of at least n bits, all 0.
func Zero(n int) Vector { return make(Vector, (n+63)/64) }

// Bit tells whether bit i is 1. It panics outside the vector, as do Flip and Set.
func (v Vector) Bit(i int) bool { return v[i/64]>>(i%64)&1 == 1 }

// Flip adds 1 to bit i.
func (v Vector) Flip(i int) { v[i/64] ^= 1 << (i % 64) }

// Set makes bit i value.
func (v Vector) Set(i int, value bool) {
	if v.Bit(i) != value {
		v.Flip(i)
	}
}

// Add adds w to v, bit by bit. w must not be the longer one.
func (v Vector) Add(w Vector) {
	for i, word := range w {
		v[i] ^= word
	}
}

// AddShifted adds w to v, each bit n places further up; n is not negative. It panics when
// a bit that is 1 falls behind v's end.
func (v Vector) AddShifted(w Vector, n int) {
	words, rest := n/64, n%64
	for i, word := range w {
		if low := word << rest; low != 0 {
			v[i+words] ^= low
		}
		if high := word >> (64 - rest); high != 0 {
			v[i+words+1] ^= high
		}
	}
}

// Weight returns the number of ones.
func (v Vector) Weight() int {
	n := 0
	for _, word := range v {
		n += bits.OnesCount64(word)
	}
	return n
}

// Ones yields the places of the ones, ascending.
func (v Vector) Ones() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, word := range v {
			for ; word != 0; word &= word - 1 {
				if !yield(64*i + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}

// Rank returns the number of linearly independent vectors among vectors of 32 bits.
func Rank(vectors []uint32) int {
	var basis [32]uint32
	rank := 0
	for _, v := range vectors {
		for v != 0 {
			top := bits.Len32(v) - 1
			if basis[top] == 0 {
				basis[top] = v
				rank++
				break
			}
			v ^= basis[top]
		}
	}
	return rank
}
