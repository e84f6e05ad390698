package decap

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A frame that ends early, at every byte; and an outer packet that says so, at every byte.
func TestTruncated(t *testing.T) {
	k := loaded(t, asked())
	for _, e := range encapsulations {
		for tags := range 3 {
			f := e.valid(bytes.Repeat([]byte{0xaa}, 30)...)
			for range tags {
				f.tag(0x8100, 7)
			}
			whole := f.bytes()
			l3 := 14 + 4*tags
			for n := 14; n < len(whole); n++ { // the kernel runs no programs on less
				want := result{"malformed_outer", true, whole[:n]}
				if n < l3 {
					want.Reason = "malformed_ethernet"
				}
				if diff := cmp.Diff(want, k.send(whole[:n])); diff != "" {
					t.Errorf("%s, %d tags, %d bytes of %d (-want +got):\n%s", e.name, tags, n, len(whole), diff)
				}
			}
			whole = append(whole, 1, 2, 3)
			for n := range len(f.inner) {
				f.resize(n)
				copy(whole[l3:], f.outer)
				want := result{"malformed_inner", false, whole}
				if diff := cmp.Diff(want, k.send(whole)); diff != "" {
					t.Errorf("%s, %d tags, inner %d bytes of %d (-want +got):\n%s", e.name, tags, n, len(f.inner), diff)
				}
				cut := whole[:l3+len(f.outer)+n]
				want.Frame = cut
				if diff := cmp.Diff(want, k.send(cut)); diff != "" {
					t.Errorf("%s, %d tags, nothing behind inner %d bytes of %d (-want +got):\n%s", e.name, tags, n, len(f.inner), diff)
				}
			}
		}
	}
}
