package contract

import (
	"net/netip"
	"testing"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// testFamilies tests that IPv6 addresses in which an IPv4 address stands are
// not taken for it, wherever in the 16 bytes it stands.
func testFamilies(t *testing.T, open func(t *testing.T) Harness) {
	for _, p := range protocols() {
		for name, embed := range embeddings() {
			t.Run(name+" "+p.String(), func(t *testing.T) {
				b := newFixture(t, open)
				s := ipv4.service(1, p, ipv4.on(West, 1, 8080))
				b.set(s)
				b.isNotOurs(packet.Flow{Source: ipv6.on(East, 1, 4000), Destination: embed(s.VIP.Address), Protocol: p})
				b.isNotOurs(packet.Flow{Source: embed(s.Replicas[0].Address), Destination: ipv6.on(East, 1, 4000), Protocol: p})
				b.reaches(s.VIP, s.Replicas[0])
			})
		}
	}
	t.Run("side by side", func(t *testing.T) { testSideBySide(newFixture(t, open)) })
}

// embeddings are ways to write an IPv4 address into an IPv6 one.
func embeddings() map[string]func(netip.AddrPort) netip.AddrPort {
	at := func(prefix []byte, offset int) func(netip.AddrPort) netip.AddrPort {
		return func(a netip.AddrPort) netip.AddrPort {
			var bytes [16]byte
			copy(bytes[:], prefix)
			copy(bytes[offset:], a.Addr().AsSlice())
			return netip.AddrPortFrom(netip.AddrFrom16(bytes), a.Port())
		}
	}
	return map[string]func(netip.AddrPort) netip.AddrPort{
		"mapped":     mapped,
		"compatible": at(nil, 12),
		"in front":   at(nil, 0),
		"nat64":      at([]byte{0, 0x64, 0xff, 0x9b}, 12),
	}
}

// testSideBySide has both families and both protocols at once.
func testSideBySide(b fixture) {
	var all []lb.Service
	for _, f := range families() {
		for _, p := range protocols() {
			all = append(all, f.service(1, p, f.on(West, byte(len(all)+1), 8080)))
		}
	}
	b.set(all...)
	for _, s := range all {
		b.reaches(s.VIP, s.Replicas[0])
	}
}
