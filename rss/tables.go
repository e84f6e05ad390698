package rss

import "fmt"

// The lengths in bytes of the 4-tuples: two addresses and two ports.
const (
	IPv4TupleLength = 4 + 4 + 2 + 2
	IPv6TupleLength = 16 + 16 + 2 + 2
)

// Tables computes the Toeplitz hash with one look-up a byte. The function is
// linear over exclusive or, so each byte of the input contributes a value that
// depends on nothing but the byte and its place.
//
// Tables take 1 KiB per byte of input. They are immutable and safe for concurrent
// use. The zero value hashes the empty input only.
type Tables struct {
	rows [][256]uint32
}

// NewTables prepares the hash under key of inputs of at most inputLen bytes,
// which must not be negative. What holds for Toeplitz past the end of the key
// holds here.
func NewTables(key Key, inputLen int) *Tables {
	rows := make([][256]uint32, inputLen)
	for i := range rows {
		fillRow(&rows[i], key[min(i, len(key)):])
	}
	return &Tables{rows: rows}
}

// fillRow computes what a byte contributes where key begins: that of each bit by
// the definition, that of other values from those below.
func fillRow(row *[256]uint32, key Key) {
	for bit := 1; bit < len(row); bit <<= 1 {
		row[bit] = Toeplitz(key, []byte{byte(bit)})
		for below := range bit {
			row[bit|below] = row[bit] ^ row[below]
		}
	}
}

// Rows returns the tables: row i, entry v is what byte value v contributes at
// place i. They are shared, the caller must not write to them.
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
