package oracle

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// TestUpdateRFC1624 has the example of RFC 1624, section 4: the equation of RFC 1141 would
// give 0xffff here.
func TestUpdateRFC1624(t *testing.T) {
	if got := update(0xdd2f, 0x5555, 0x3285); got != 0x0000 {
		t.Errorf("%#04x, want 0x0000", got)
	}
}

// TestUpdateIsRecomputing replaces words, and compares with the checksum of the whole.
func TestUpdateIsRecomputing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.Uint16(), 1, 20).Draw(t, "words")
		words = append(words, 0x0600) // as in a header: never all zeros
		was := sumOf(words)
		i := rapid.IntRange(0, len(words)-2).Draw(t, "place")
		is := rapid.Uint16().Draw(t, "new")
		got := update(was, words[i], is)
		words[i] = is
		if want := sumOf(words); got != want {
			t.Errorf("%#04x, want %#04x", got, want)
		}
	})
}

// sumOf is the Internet checksum (RFC 1071): the sum of the words modulo 65535, inverted. Of a
// sum that is not 0 it is never 0xffff.
func sumOf(words []uint16) uint16 {
	var sum uint64
	for _, w := range words {
		sum += uint64(w)
	}
	return ^uint16((sum-1)%0xffff + 1)
}

// TestReplaceTouchesNothingElse checks that only the bytes and the checksums named move.
func TestReplaceTouchesNothingElse(t *testing.T) {
	frame := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	replace(frame, 2, []byte{0xaa, 0xbb}, []int{6})
	want := []byte{0, 1, 0xaa, 0xbb, 4, 5, 0, 0, 8, 9}
	binary.BigEndian.PutUint16(want[6:], update(0x0607, 0x0203, 0xaabb))
	if string(frame) != string(want) {
		t.Errorf("% x, want % x", frame, want)
	}
}
