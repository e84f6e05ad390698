package scheduler

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"
)

// permutation is a replica's order of preference among the slots of a table of
// prime size m: offset, offset + skip, offset + 2 skip, ... mod m (Eisenbud et al.,
// "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4).
// Every skip from 1 to m-1 is prime to m, so that it visits every slot once.
type permutation struct{ next, skip uint32 }

// newPermutation derives the permutation from the replica's address and port alone, so
// that its place in the list and its neighbours do not matter.
func newPermutation(a netip.AddrPort, m uint32) permutation {
	h := identity(a)
	return permutation{
		next: uint32(h % uint64(m)),
		skip: uint32(mix(h^skipSalt)%uint64(m-1)) + 1,
	}
}

// skipSalt makes the second of Maglev's two hash functions: 2^64 divided by the golden ratio.
const skipSalt = 0x9e3779b97f4a7c15

// identity hashes an address and port, the same in every process: FNV-1a, whose high
// bits hardly know the last bytes, then a finaliser. Neighbouring addresses must
// come out unrelated.
func identity(a netip.AddrPort) uint64 {
	bytes := a.Addr().As16()
	h := fnv.New64a()
	h.Write(bytes[:])
	h.Write(binary.BigEndian.AppendUint16(nil, a.Port()))
	return mix(h.Sum64())
}

// mix is fmix64, the finaliser of MurmurHash3 (Austin Appleby, public domain): a
// bijection in which every input bit changes every output bit with probability 1/2.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return h
}
