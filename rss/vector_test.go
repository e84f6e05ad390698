//go:build goexperiment.simd && amd64

package rss

import (
	"testing"

	"golang.org/x/sys/cpu"
)

// The other tests of batches test the vector code only if it is used.
func TestVectorIsUsed(t *testing.T) {
	if want := cpu.X86.HasAVX512GFNI && cpu.X86.HasAVX512VBMI; NewBatch(MicrosoftKey()).Vector() != want {
		t.Errorf("vector code is used: %v, the CPU can: %v", !want, want)
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
