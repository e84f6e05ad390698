package nic

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// calculator is the arithmetic of Amazon's toeplitz_calc.py for one IPv4 flow, written from its
// description: the hash begins with initial, and the key is rotated.
func calculator(key []byte, initial uint32, input []byte) uint32 {
	hash := initial
	for i := range 8 * len(input) {
		if input[i/8]>>(7-i%8)&1 == 0 {
			continue
		}
		for bit := range 32 {
			k := (i + bit) % (8 * len(key))
			hash ^= uint32(key[k/8]>>(7-k%8)&1) << (31 - bit)
		}
	}
	return hash
}

func TestENA(t *testing.T) {
	const seed = 4
	random := rand.New(rand.NewPCG(seed, seed))
	key := make(rss.Key, 40)
	for i := range key {
		key[i] = byte(random.Uint32())
	}
	reversed := slices.Clone(key)
	slices.Reverse(reversed)
	// The key of toeplitz_calc.py for instances where it cannot be changed.
	fixed := []byte{
		0xbe, 0xac, 0x01, 0xfa, 0x6a, 0x42, 0xb7, 0x3b, 0x80, 0x30, 0xf2, 0x0c, 0x77, 0xcb, 0x2d, 0xa3, 0xae, 0x7b, 0x30, 0xb4,
		0xd0, 0xca, 0x2b, 0xcb, 0x43, 0xa3, 0x8f, 0xb0, 0x41, 0x67, 0x25, 0x3d, 0x25, 0x5b, 0x0e, 0xc2, 0x6d, 0x5a, 0x56, 0xda,
	}
	ena, gen4, dpdk := profile(t, "ena", key), profile(t, "ena-gen4", nil), profile(t, "dpdk-ena", key)
	for range 200 {
		a, b, p, q := random.Uint32(), random.Uint32(), uint16(random.Uint32()), uint16(random.Uint32())
		f := packet.Flow{Source: number(a, p), Destination: number(b, q), Protocol: packet.TCP}
		if got, want := ena.ClassifyFlow(f).Hash, calculator(reversed, 0xffffffff, tuple(a, b, p, q)); got != want {
			t.Fatalf("seed %d, ena %v: %#08x, want %#08x", seed, f, got, want)
		}
		if got, want := dpdk.ClassifyFlow(f).Hash, calculator(key, 0, tuple(a, b, p, q)); got != want {
			t.Fatalf("seed %d, dpdk-ena %v: %#08x, want %#08x", seed, f, got, want)
		}
		hash := calculator(fixed, 0xffffffff, tuple(min(a, b), max(a, b), min(p, q), max(p, q)))
		want := hash<<16 | hash&0xffff
		if got, back := gen4.ClassifyFlow(f).Hash, gen4.ClassifyFlow(f.Reverse()).Hash; got != want || back != want {
			t.Fatalf("seed %d, ena-gen4 %v: %#08x and back %#08x, want %#08x", seed, f, got, back, want)
		}
	}
}

// profile sets up the NIC of a profile with a key as its driver shows it; nil for the profile's own.
func profile(t *testing.T, name string, key rss.Key) *NIC {
	t.Helper()
	p, ok := NamedProfile(name)
	if !ok {
		t.Fatalf("there is no profile %s", name)
	}
	config, err := p.Config(4)
	if err != nil {
		t.Fatal(err)
	}
	if key != nil {
		before := slices.Clone(key)
		config.Key = p.HardwareKey(key)
		if !bytes.Equal(before, key) {
			t.Fatal("HardwareKey wrote to its argument")
		}
	}
	n, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func number(a uint32, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, a))), port)
}

func tuple(a, b uint32, p, q uint16) []byte {
	in := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, a), b)
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(in, p), q)
}
