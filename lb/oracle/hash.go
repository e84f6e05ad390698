package oracle

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"lbctl/lb"
	"lbctl/rss"
	"lbctl/rss/packet"
)

// Hash returns the hash of a flow to service s; the flow's slot is Hash mod s.TableSize. Both addresses of the
// flow are of one family. Only ToeplitzHash uses the key.
//
// JHash reads the 4-tuple as the packet has it (source address, destination address, source port, destination
// port, in network byte order) in words of 4 bytes, each loaded as little-endian, like the machines on which
// the kernel program runs.
func Hash(s lb.Service, key rss.Key, f packet.Flow) uint32 {
	tuple := tupleOf(f)
	if s.Hash == lb.ToeplitzHash {
		return rss.Toeplitz(key, tuple)
	}
	words := make([]uint32, len(tuple)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(tuple[4*i:])
	}
	return jhash2(words, s.Seed)
}

// tupleOf returns the 12 or 36 bytes that are hashed, in network byte order.
func tupleOf(f packet.Flow) []byte {
	tuple := append(f.Source.Addr().AsSlice(), f.Destination.Addr().AsSlice()...)
	return append(append(tuple, portBytes(f.Source)...), portBytes(f.Destination)...)
}

// portBytes returns the port in network byte order.
func portBytes(a netip.AddrPort) []byte {
	return []byte{byte(a.Port() >> 8), byte(a.Port())}
}

// jhash2 is jhash2 of the kernel's include/linux/jhash.h (Bob Jenkins' lookup3, hashword). Of
// three words it is jhash_3words.
func jhash2(words []uint32, seed uint32) uint32 {
	start := 0xdeadbeef + uint32(len(words))<<2 + seed
	a, b, c := start, start, start
	for len(words) > 3 {
		a, b, c = jhashMix(a+words[0], b+words[1], c+words[2])
		words = words[3:]
	}
	switch len(words) {
	case 3:
		c += words[2]
		fallthrough
	case 2:
		b += words[1]
		fallthrough
	case 1:
		a += words[0]
		c = jhashFinal(a, b, c)
	}
	return c
}

// jhashMix is __jhash_mix.
func jhashMix(a, b, c uint32) (_, _, _ uint32) {
	rol := bits.RotateLeft32
	a, c = a-c^rol(c, 4), c+b
	b, a = b-a^rol(a, 6), a+c
	c, b = c-b^rol(b, 8), b+a
	a, c = a-c^rol(c, 16), c+b
	b, a = b-a^rol(a, 19), a+c
	c, b = c-b^rol(b, 4), b+a
	return a, b, c
}

// jhashFinal is __jhash_final.
func jhashFinal(a, b, c uint32) uint32 {
	rol := bits.RotateLeft32
	c = c ^ b - rol(b, 14)
	a = a ^ c - rol(c, 11)
	b = b ^ a - rol(a, 25)
	c = c ^ b - rol(b, 16)
	a = a ^ c - rol(c, 4)
	b = b ^ a - rol(a, 14)
	c = c ^ b - rol(b, 24)
	return c
}
