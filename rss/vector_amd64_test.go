package rss

import (
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// The other tests of batches test the vector code only if it is used.
func TestVectorIsUsed(t *testing.T) {
	if want := cpu.X86.HasAVX512F && cpu.X86.HasAVX512GFNI && cpu.X86.HasAVX512VBMI; NewBatch(MicrosoftKey()).Vector() != want {
		t.Errorf("vector code is used: %v, the CPU can: %v", !want, want)
	}
}

// The assembly text is of this layout: rss/asm has the same numbers.
func TestVectorLayout(t *testing.T) {
	var v vector
	got := []uintptr{unsafe.Offsetof(v.words), unsafe.Offsetof(v.halves), unsafe.Offsetof(v.ports), unsafe.Offsetof(v.transpose), unsafe.Offsetof(v.scatter)}
	if want := []uintptr{0, 768, 1792, 2048, 2112}; !slices.Equal(got, want) {
		t.Errorf("fields at %d, want %d", got, want)
	}
}

// One by one, as on CPUs without the instructions, the hashes are the same.
func TestBatchWithoutVector(t *testing.T) {
	batch, all := NewBatch(MicrosoftKey()), randomBatch(rand.New(rand.NewPCG(5, 5)), 40)
	if !batch.Vector() {
		t.Skip("there is no other way on this CPU")
	}
	other := &Batch{tables: batch.tables}
	for name, hash := range map[string]func(b *Batch, to []uint32){
		"ipv4":           func(b *Batch, to []uint32) { b.HashIPv4(to, all.source4, all.destination4, all.ports4) },
		"ipv4 addresses": func(b *Batch, to []uint32) { b.HashIPv4(to, all.source4, all.destination4, nil) },
		"ipv6":           func(b *Batch, to []uint32) { b.HashIPv6(to, all.source6, all.destination6, all.ports) },
	} {
		got, want := make([]uint32, 40), make([]uint32, 40)
		hash(other, got)
		if hash(batch, want); !slices.Equal(got, want) {
			t.Errorf("%s: %08x, in vectors %08x", name, got, want)
		}
	}
}

// A matrix times a byte equals the contribution of the byte by the definition.
func TestMatrix(t *testing.T) {
	rows := NewTables(MicrosoftKey(), 1).Rows()
	for out := range 4 {
		m := matrix(&rows[0], out)
		for value := range 256 {
			var product byte
			for i := range 8 {
				row := byte(m >> (8 * (7 - i)))
				for both := row & byte(value); both != 0; both &= both - 1 {
					product ^= 1 << i
				}
			}
			if want := byte(rows[0][value] >> (24 - 8*out)); product != want {
				t.Fatalf("byte %d of the hash of %#02x: %#02x by the matrix, want %#02x", out, value, product, want)
			}
		}
	}
}
