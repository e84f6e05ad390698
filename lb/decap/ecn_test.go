package decap

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// RFC 6040, figure 4: rows are the inner field, columns the outer one, in the order Not-ECT,
// ECT(0), ECT(1), CE. The codepoints are those of RFC 3168: 00, 10, 01, 11.
func TestECN(t *testing.T) {
	const drop = 0xff
	codepoints := [4]byte{0, 2, 1, 3}
	figure4 := [4][4]byte{
		{0, 0, 0, drop},
		{2, 2, 1, 3},
		{1, 1, 1, 3},
		{3, 3, 3, 3},
	}
	k := loaded(t, asked())
	for _, e := range encapsulations {
		for row, inner := range codepoints {
			for column, outer := range codepoints {
				// The six bits above belong to somebody else, the flow label below too.
				for _, others := range []byte{0x00, 0xff} {
					f := e.valid(make([]byte, 20)...)
					dress(f.outer, ^others)
					dress(f.inner, others)
					setECN(f.outer, outer)
					setECN(f.inner, inner)
					in, want := f.bytes(), result{Unpacked, true, nil}
					if figure4[row][column] == drop {
						want = result{"congested", false, in}
					} else {
						setECN(f.inner, figure4[row][column])
						want.Frame = f.unpacked()
					}
					name := fmt.Sprintf("%s, inner %02b, outer %02b, others %#02x", e.name, inner, outer, others)
					if diff := cmp.Diff(want, k.send(in)); diff != "" {
						t.Errorf("%s (-want +got):\n%s", name, diff)
					}
				}
			}
		}
	}
}

// dress sets all bits of the first four bytes that are neither version, length nor congestion.
func dress(h []byte, to byte) {
	if h[0]>>4 == 6 {
		h[0], h[1], h[2], h[3] = 0x60|to&0x0f, to, to, to
		return
	}
	h[1] = to
	seal(h)
}
