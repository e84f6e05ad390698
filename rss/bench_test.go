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

// flows is the number of different inputs of a benchmark.
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

// The figures of batches are for flows hashes: divide them by flows.
func BenchmarkBatchIPv4(b *testing.B) {
	batch, all, hashes := NewBatch(MicrosoftKey()), randomBatch(rand.New(rand.NewPCG(1, 1)), flows), make([]uint32, flows)
	for b.Loop() {
		batch.HashIPv4(hashes, all.source4, all.destination4, all.ports4)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/flows, "ns/hash")
}

func BenchmarkBatchIPv6(b *testing.B) {
	batch, all, hashes := NewBatch(MicrosoftKey()), randomBatch(rand.New(rand.NewPCG(1, 1)), flows), make([]uint32, flows)
	for b.Loop() {
		batch.HashIPv6(hashes, all.source6, all.destination6, all.ports)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/flows, "ns/hash")
}
