package scheduler

import (
	"math"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// TestPermutation: every replica's order visits every slot once.
func TestPermutation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom([]uint32{2, 3, 5, 13, 251, 1009}).Draw(t, "slots")
		a := netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address")))
		p := newPermutation(netip.AddrPortFrom(a, rapid.Uint16().Draw(t, "port")), m)
		seen := make([]bool, m)
		for slot := p.next; !seen[slot]; slot = step(slot, p.skip, m) {
			seen[slot] = true
		}
		for slot, was := range seen {
			if !was {
				t.Fatalf("slot %d of %d is never visited, skip %d", slot, m, p.skip)
			}
		}
	})
}

// TestNeighboursUnrelated hashes 4,096 addresses that differ in their last bits, or in their
// port: each bit of the hashes is set in half of them, within five standard deviations. FNV-1a
// without the finaliser fails.
func TestNeighboursUnrelated(t *testing.T) {
	const n = 4096
	for name, address := range map[string]func(i int) netip.AddrPort{
		"ipv4": func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 80)
		},
		"ipv6": func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 14: byte(i >> 8), 15: byte(i)}), 80)
		},
		"ports": func(i int) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 1}), uint16(8000+i))
		},
	} {
		var set [64]int
		for i := range n {
			h := identity(address(i))
			for bit := range set {
				set[bit] += int(h >> bit & 1)
			}
		}
		for bit, count := range set {
			if math.Abs(float64(count)-n/2) > 5*math.Sqrt(n)/2 {
				t.Errorf("%s: bit %d is set in %d of %d hashes", name, bit, count, n)
			}
		}
	}
}
