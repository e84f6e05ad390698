// Package rss is the arithmetic of receive-side scaling: the key, the Toeplitz
// hash in three forms (by definition, by tables, and by vector code for many flows at
// once), the other hash functions of NICs, the hash fields and the input transforms,
// and the indirection table, which maps the hash to a receive queue.
//
// It does not read packets; package nic applies it to them. All types are safe for
// concurrent reads.
//
// Source: Microsoft, "RSS Hashing Functions" (NDIS documentation);
// Krawczyk, "LFSR-based Hashing and Authentication", CRYPTO 1994, for the function.
package rss

import (
	"fmt"
	"math/bits"
)

// Toeplitz returns the hash of input by its definition, bit by bit: the exclusive
// or, over the bits of input that are set, of the 32 bits of the key that start at
// the bit's place. Bit 0 is the most significant one of byte 0.
//
// Past its end the key counts as zeros; an empty input has hash 0. Tables computes
// the same faster.
func Toeplitz(key Key, input []byte) uint32 {
	var hash, window uint32
	for i := range 32 {
		window = window<<1 | key.bit(i)
	}
	for i := range 8 * len(input) {
		if Key(input).bit(i) == 1 {
			hash ^= window
		}
		window = window<<1 | key.bit(i+32)
	}
	return hash
}

// Window returns what bit i of an input adds to the hash, if it is set: the 32 bits of the key that start at the bit's place.
// i must not be negative.
func (k Key) Window(i int) uint32 {
	var five uint64 // bytes, in which the window is
	for at := i / 8; at < i/8+5; at++ {
		five <<= 8
		if at < len(k) {
			five |= uint64(k[at])
		}
	}
	return uint32(five >> (8 - i%8))
}

// bit returns bit i of the key, 0 past its end.
func (k Key) bit(i int) uint32 {
	if i/8 >= len(k) {
		return 0
	}
	return uint32(k[i/8]>>(7-i%8)) & 1
}

// The lengths in bytes of the 4-tuples: two addresses and two ports.
const (
	IPv4TupleLength = 4 + 4 + 2 + 2
	IPv6TupleLength = 16 + 16 + 2 + 2
)

// Tables computes the Toeplitz hash with one look-up a byte. The function is
// linear over exclusive or, so each byte of the input contributes a value that
// depends only on the byte and its position.
//
// Tables take 1 KiB per byte of input. They are immutable and safe for concurrent
// use. The zero value hashes the empty input only.
type Tables struct {
	rows [][256]uint32
}

// NewTables prepares the hash under key of inputs of at most inputLen bytes,
// which must not be negative. Past its end the key counts as zeros, as for Toeplitz.
func NewTables(key Key, inputLen int) *Tables {
	rows := make([][256]uint32, inputLen)
	for i := range rows {
		fillRow(&rows[i], key[min(i, len(key)):])
	}
	return &Tables{rows: rows}
}

// fillRow computes what each value of a byte contributes at the position where key begins:
// single bits by their windows, other values as the sum of two smaller ones.
func fillRow(row *[256]uint32, key Key) {
	for bit := 1; bit < len(row); bit <<= 1 {
		row[bit] = key.Window(8 - bits.Len8(uint8(bit)))
		for below := range bit {
			row[bit|below] = row[bit] ^ row[below]
		}
	}
}

// Rows returns the tables: row i, entry v is what byte value v contributes at
// position i. They are shared, the caller must not write to them.
func (t *Tables) Rows() [][256]uint32 { return t.rows }

// Hash returns Toeplitz(key, input). It panics when the input is longer than the
// tables were made for.
func (t *Tables) Hash(input []byte) uint32 {
	if len(input) > len(t.rows) {
		panic(fmt.Sprintf("rss: hash of %d bytes by tables for %d", len(input), len(t.rows)))
	}
	switch len(input) {
	case IPv4TupleLength:
		return t.HashIPv4((*[IPv4TupleLength]byte)(input))
	case IPv6TupleLength:
		return t.HashIPv6((*[IPv6TupleLength]byte)(input))
	}
	rows := t.rows[:len(input)]
	var hash uint32
	for i, b := range input {
		hash ^= rows[i][b]
	}
	return hash
}

// HashIPv4 is Hash of an IPv4 4-tuple, in the order of AppendTuple. It panics when
// the tables were made for less.
//
// The loop is unrolled: one bounds check in all and short chains of exclusive ors take half
// the time.
func (t *Tables) HashIPv4(in *[IPv4TupleLength]byte) uint32 {
	r := (*[IPv4TupleLength][256]uint32)(t.rows)
	return (r[0][in[0]] ^ r[1][in[1]] ^ r[2][in[2]] ^ r[3][in[3]]) ^
		(r[4][in[4]] ^ r[5][in[5]] ^ r[6][in[6]] ^ r[7][in[7]]) ^
		(r[8][in[8]] ^ r[9][in[9]] ^ r[10][in[10]] ^ r[11][in[11]])
}

// HashIPv6 is Hash of an IPv6 4-tuple, in the order of AppendTuple. It panics when
// the tables were made for less.
func (t *Tables) HashIPv6(in *[IPv6TupleLength]byte) uint32 {
	r := (*[IPv6TupleLength][256]uint32)(t.rows)
	return (r[0][in[0]] ^ r[1][in[1]] ^ r[2][in[2]] ^ r[3][in[3]]) ^
		(r[4][in[4]] ^ r[5][in[5]] ^ r[6][in[6]] ^ r[7][in[7]]) ^
		(r[8][in[8]] ^ r[9][in[9]] ^ r[10][in[10]] ^ r[11][in[11]]) ^
		(r[12][in[12]] ^ r[13][in[13]] ^ r[14][in[14]] ^ r[15][in[15]]) ^
		(r[16][in[16]] ^ r[17][in[17]] ^ r[18][in[18]] ^ r[19][in[19]]) ^
		(r[20][in[20]] ^ r[21][in[21]] ^ r[22][in[22]] ^ r[23][in[23]]) ^
		(r[24][in[24]] ^ r[25][in[25]] ^ r[26][in[26]] ^ r[27][in[27]]) ^
		(r[28][in[28]] ^ r[29][in[29]] ^ r[30][in[30]] ^ r[31][in[31]]) ^
		(r[32][in[32]] ^ r[33][in[33]] ^ r[34][in[34]] ^ r[35][in[35]])
}
