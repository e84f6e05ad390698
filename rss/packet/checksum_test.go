package packet

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

func TestChecksum(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
		want uint16
	}{
		{"RFC 1071 section 3", []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}, ^uint16(0xddf2)},
		{"empty", nil, 0xffff},
		{"odd", []byte{0x12}, ^uint16(0x1200)},
		{"two carries", []byte{0xff, 0xff, 0xff, 0xff, 0x00, 0x01}, ^uint16(0x0001)},
	} {
		if got := Checksum(c.b); got != c.want {
			t.Errorf("%s: Checksum = %#04x, want %#04x", c.name, got, c.want)
		}
	}
}

func TestSumDoesNotOverflow(t *testing.T) {
	b := make([]byte, 128<<10)
	for i := range b {
		b[i] = 0xff
	}
	if got := Checksum(b); got != 0 {
		t.Errorf("Checksum of 128 KiB of ones = %#04x, want 0", got)
	}
}

// RFC 1624 section 4: the example that its predecessor, RFC 1141, got wrong.
func TestUpdateChecksumExample(t *testing.T) {
	if got := UpdateChecksum(0xdd2f, 0x5555, 0x3285); got != 0x0000 {
		t.Errorf("UpdateChecksum = %#04x, want 0x0000", got)
	}
}

func TestUpdateChecksumEqualsRecomputed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.Uint16(), 2, 20).Draw(t, "words")
		place := rapid.IntRange(0, len(words)-1).Draw(t, "place")
		b := make([]byte, 0, 2*len(words))
		for _, w := range append(words, 1) { // never all zero, where there are two forms of the same sum
			b = binary.BigEndian.AppendUint16(b, w)
		}
		old, next := Checksum(b), rapid.Uint16().Draw(t, "new")
		binary.BigEndian.PutUint16(b[2*place:], next)
		if got, want := UpdateChecksum(old, words[place], next), Checksum(b); got != want {
			t.Errorf("UpdateChecksum = %#04x, recomputed %#04x", got, want)
		}
	})
}
