package rss

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// FuzzTables holds the tables equal to the definition, at every length up to 300
// and under every key length, past the end of the key too.
func FuzzTables(f *testing.F) {
	f.Add([]byte(MicrosoftKey()), []byte("66.9.149.187"))
	f.Add(bytes.Repeat([]byte{0xff}, MaxKeyLength), bytes.Repeat([]byte{0xff}, 300))
	f.Add(bytes.Repeat([]byte{1}, MinKeyLength), bytes.Repeat([]byte{0x80}, 45))
	f.Fuzz(func(t *testing.T, key, input []byte) {
		if Key(key).Validate() != nil || len(input) > 300 {
			t.Skip("out of the range of keys and inputs")
		}
		got, want := NewTables(key, len(input)).Hash(input), Toeplitz(key, input)
		if got != want {
			t.Errorf("key %x input %x: tables %#08x, definition %#08x", key, input, got, want)
		}
	})
}

func TestTablesEqualDefinition(t *testing.T) {
	const seed = 2
	random := rand.New(rand.NewPCG(seed, seed))
	for _, length := range []int{MinKeyLength, 41, 52, 100, MaxKeyLength} {
		key, input := make(Key, length), make([]byte, 300)
		fill(random, key)
		fill(random, input)
		tables := NewTables(key, len(input))
		for n := range len(input) + 1 {
			if got, want := tables.Hash(input[:n]), Toeplitz(key, input[:n]); got != want {
				t.Fatalf("seed %d, key of %d, input of %d bytes: tables %#08x, definition %#08x", seed, length, n, got, want)
			}
		}
	}
}

func TestRowsAreContributions(t *testing.T) {
	key := MicrosoftKey()
	rows := NewTables(key, IPv6TupleLength).Rows()
	for place := range rows {
		for value := range rows[place] {
			input := make([]byte, IPv6TupleLength)
			input[place] = byte(value)
			if got, want := rows[place][value], Toeplitz(key, input); got != want {
				t.Fatalf("row %d entry %d = %#08x, want %#08x", place, value, got, want)
			}
		}
	}
}

func TestHashPanicsOnLongInput(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("hash of 13 bytes by tables for 12 did not panic")
		}
	}()
	NewTables(MicrosoftKey(), IPv4TupleLength).Hash(make([]byte, IPv4TupleLength+1))
}

func TestHashDoesNotAllocate(t *testing.T) {
	tables, input := NewTables(MicrosoftKey(), IPv6TupleLength), make([]byte, IPv6TupleLength)
	if n := testing.AllocsPerRun(100, func() { tables.Hash(input) }); n != 0 {
		t.Errorf("%v allocations a hash, want 0", n)
	}
}

func fill(random *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(random.Uint32())
	}
}
