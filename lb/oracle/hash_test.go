package oracle

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"lbctl/lb"
	"lbctl/rss"
	"lbctl/rss/packet"
)

// TestLookup3 has the vectors of the self-test (driver5) in Bob Jenkins' lookup3.c,
// burtleburtle.net/bob/c/lookup3.c. They are of 30 bytes; eight words that end in zeros
// give the same with a seed that takes the two bytes off the length again.
func TestLookup3(t *testing.T) {
	text := append([]byte("Four score and seven years ago"), 0, 0)
	for seed, want := range map[uint32]uint32{0: 0x17770551, 1: 0xcd628161} {
		words := make([]uint32, 8)
		for i := range words {
			words[i] = binary.LittleEndian.Uint32(text[4*i:])
		}
		if got := jhash2(words, seed-2); got != want {
			t.Errorf("seed %d: %#08x, want %#08x", seed, got, want)
		}
	}
}

// TestJhash2Lengths has every length from 0 to 9 words, seed 1, word i being
// (i+1)*0x01020304. Origin: include/linux/jhash.h of Linux, compiled with gcc on x86-64.
func TestJhash2Lengths(t *testing.T) {
	want := []uint32{
		0xdeadbef0, 0xdce14329, 0x6b366028, 0x56915653, 0x554b4c77,
		0xffe3d3a2, 0xdbdcff98, 0xa67b2b07, 0xebe5dc90, 0x326e28e9,
	}
	var words []uint32
	for n, hash := range want {
		if got := jhash2(words, 1); got != hash {
			t.Errorf("%d words: %#08x, want %#08x", n, got, hash)
		}
		words = append(words, 0x01020304*uint32(n+1))
	}
}

// TestHashOfFlow says how the words are loaded. Origin: jhash_3words and jhash2 of Linux,
// given the addresses and ports in network byte order on x86-64.
func TestHashOfFlow(t *testing.T) {
	for _, c := range []struct {
		source, destination string
		seed, want          uint32
	}{
		{"198.51.100.1:40000", "192.0.2.1:80", 0, 0x0d42e046},
		{"198.51.100.1:40000", "192.0.2.1:80", 0x5eed5eed, 0x44e92478},
		{"[2001:db8:1::1]:40000", "[2001:db8::1]:80", 0, 0xf9f0f695},
		{"[2001:db8:1::1]:40000", "[2001:db8::1]:80", 0x5eed5eed, 0xe9054ba4},
	} {
		f := packet.Flow{Source: netip.MustParseAddrPort(c.source), Destination: netip.MustParseAddrPort(c.destination)}
		if got := Hash(lb.Service{Seed: c.seed}, nil, f); got != c.want {
			t.Errorf("%v, seed %#x: %#08x, want %#08x", f, c.seed, got, c.want)
		}
	}
}

// TestToeplitzOfFlow has two rows of Microsoft's "Verifying the RSS Hash Calculation"; package
// rss tests all of them.
func TestToeplitzOfFlow(t *testing.T) {
	for _, c := range []struct {
		source, destination string
		want                uint32
	}{
		{"66.9.149.187:2794", "161.142.100.80:1766", 0x51ccc178},
		{"[3ffe:2501:200:1fff::7]:2794", "[3ffe:2501:200:3::1]:1766", 0x40207d3d},
	} {
		f := packet.Flow{Source: netip.MustParseAddrPort(c.source), Destination: netip.MustParseAddrPort(c.destination)}
		s := lb.Service{Hash: lb.ToeplitzHash, Seed: 7}
		if got := Hash(s, rss.MicrosoftKey(), f); got != c.want {
			t.Errorf("%v: %#08x, want %#08x", f, got, c.want)
		}
	}
}
