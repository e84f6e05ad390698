package rss

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

func BenchmarkToeplitz(b *testing.B) {
	key, input := MicrosoftKey(), make([]byte, IPv4TupleLength)
	var sum uint32
	for b.Loop() {
		binary.LittleEndian.PutUint32(input, sum)
		sum += Toeplitz(key, input) | 1
	}
}

// flows is how many different inputs a benchmark goes round.
const flows = 1024

func BenchmarkTablesIPv4(b *testing.B) {
	tables, inputs := NewTables(MicrosoftKey(), IPv4TupleLength), [flows][IPv4TupleLength]byte{}
	random := rand.New(rand.NewPCG(1, 1))
	for i := range inputs {
		fill(random, inputs[i][:])
	}
	var n, sum uint32
	for b.Loop() {
		sum += tables.HashIPv4(&inputs[n%flows])
		n++
	}
}

func BenchmarkTablesIPv6(b *testing.B) {
	tables, inputs := NewTables(MicrosoftKey(), IPv6TupleLength), [flows][IPv6TupleLength]byte{}
	random := rand.New(rand.NewPCG(1, 1))
	for i := range inputs {
		fill(random, inputs[i][:])
	}
	var n, sum uint32
	for b.Loop() {
		sum += tables.HashIPv6(&inputs[n%flows])
		n++
	}
}

func BenchmarkTablesSlice(b *testing.B) {
	tables, input := NewTables(MicrosoftKey(), IPv6TupleLength), make([]byte, IPv4TupleLength)
	for b.Loop() {
		tables.Hash(input)
	}
}
