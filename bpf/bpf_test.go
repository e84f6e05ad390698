package bpf

import (
	"net/netip"
	"os"
	"strings"
	"testing"
)

// The committed objects must be of these sources.
func TestObjectsAreFresh(t *testing.T) {
	got, err := SourceDigest(os.DirFS("src"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("src.sha256")
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.TrimSpace(string(want)) {
		t.Errorf("bpf/src has digest %s, the objects were compiled from %s: run `go generate ./bpf ./lb/datapath`", got, want)
	}
}

func TestEndpoint(t *testing.T) {
	for _, s := range []string{"192.0.2.1:80", "[2001:db8::1]:65535"} {
		a := netip.MustParseAddrPort(s)
		e := Endpoint(a, 6)
		if e.AddrPort() != a {
			t.Errorf("%v became %v", a, e.AddrPort())
		}
		if e.Port[0] != byte(a.Port()>>8) {
			t.Errorf("%v: port % x is not in network order", a, e.Port)
		}
	}
}

// A header of which one end is rewritten, its checksum computed anew and by delta.
func TestDeltas(t *testing.T) {
	for _, c := range [][2]string{
		{"192.0.2.1:80", "10.0.0.1:8080"},
		{"0.0.0.1:1", "255.255.255.255:65535"},
		{"[2001:db8::1]:80", "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:8080"},
	} {
		from, to := netip.MustParseAddrPort(c[0]), netip.MustParseAddrPort(c[1])
		l3, l4 := Deltas(from, to)
		other := uint32(0x1234) // the rest of the packet
		before, after := sum(from)+other, sum(to)+other
		if got, want := adjust(^fold(before), l4), ^fold(after); got != want {
			t.Errorf("%v > %v: layer 4 checksum %#x by delta, %#x anew", from, to, got, want)
		}
		if from.Addr().Is6() {
			if l3 != 0 {
				t.Errorf("%v > %v: IPv6 has no header checksum, delta %#x", from, to, l3)
			}
			continue
		}
		port := netip.AddrPortFrom(to.Addr(), from.Port())
		if got, want := adjust(^fold(before), l3), ^fold(sum(port)+other); got != want {
			t.Errorf("%v > %v: header checksum %#x by delta, %#x anew", from, to, got, want)
		}
	}
}

// sum adds address and port up in 16-bit words of the machine's order.
func sum(a netip.AddrPort) (s uint32) {
	for _, w := range words(a.Addr()) {
		s += uint32(w)
	}
	p := Port(a.Port())
	return s + uint32(p[0]) + uint32(p[1])<<8
}

func adjust(check, delta uint16) uint16 { return ^fold(uint32(^check) + uint32(delta)) }

func TestRangeRow(t *testing.T) {
	for text, last := range map[string]string{
		"0.0.0.0/0": "255.255.255.255", "198.51.100.0/24": "198.51.100.255", "198.51.100.7/32": "198.51.100.7",
		"::/0": "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/1": "7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::/32": "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
		"2001:db8::/64": "2001:db8::ffff:ffff:ffff:ffff", "2001:db8::/65": "2001:db8::7fff:ffff:ffff:ffff", "2001:db8::1/128": "2001:db8::1", "::/64": "::ffff:ffff:ffff:ffff",
	} {
		p := netip.MustParsePrefix(text)
		r := RangeRow(p)
		single := RangeRow(netip.PrefixFrom(netip.MustParseAddr(last), p.Addr().BitLen()))
		if r.LastHigh != single.FirstHigh || r.LastLow != single.FirstLow {
			t.Errorf("%v ends at %x %x, want %s", p, r.LastHigh, r.LastLow, last)
		}
		if got := r.Prefix(); got != p {
			t.Errorf("%v became %v", p, got)
		}
	}
}
