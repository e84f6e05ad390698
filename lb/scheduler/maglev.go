package scheduler

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/big"
	"net/netip"
	"slices"

	"lbctl/lb"
)

// turn is a replica that takes slots when it is its turn.
type turn struct {
	permutation
	replica uint32
	weight  uint32
	// taken is the number of slots that it has.
	taken uint32
}

// maglev fills a table of m slots, m a prime of at least the number of replicas.
//
// In rounds, every replica in the order of its address takes the first slot of its
// permutation that is free. Weights set how often a replica has a turn, which the paper mentions
// and leaves open; here, as in Envoy: of R rounds a replica of weight w takes part
// in R*w/max, rounded up, max being the largest weight. So every replica has a turn in
// the first round, replicas of one weight differ by at most one slot, and a share is off m*w/sum by
// less than 1 + n*w/sum slots.
func maglev(replicas []lb.Replica, m uint32) []uint32 {
	if !big.NewInt(int64(m)).ProbablyPrime(0) || uint64(m) < uint64(len(replicas)) {
		panic(fmt.Sprintf("scheduler: maglev table of %d slots for %d replicas", m, len(replicas)))
	}
	f := filler{
		turns: newTurns(replicas, m),
		due:   make([]uint32, len(replicas)),
		free:  newFreeSet(m),
		table: make([]uint32, m),
	}
	f.fill()
	return f.table
}

// newTurns returns the replicas in the order of their addresses.
func newTurns(replicas []lb.Replica, m uint32) []turn {
	order := modulo(len(replicas))
	slices.SortFunc(order, func(a, b uint32) int {
		return replicas[a].Address.Compare(replicas[b].Address)
	})
	turns := make([]turn, len(order))
	for i, r := range order {
		turns[i] = turn{
			permutation: newPermutation(replicas[r].Address, m),
			replica:     r,
			weight:      uint32(replicas[r].Weight),
		}
	}
	return turns
}

// filler fills a table.
type filler struct {
	turns []turn
	// due is the round from which each turn may go on, apart from turns so that passing over
	// the light replicas of a round reads little memory.
	due   []uint32
	free  freeSet
	table []uint32
}

func (f *filler) fill() {
	heaviest := slices.MaxFunc(f.turns, func(a, b turn) int { return int(a.weight) - int(b.weight) }).weight
	left := len(f.table)
	for round := uint32(0); ; round++ {
		for i, due := range f.due {
			if due > round {
				continue
			}
			f.take(&f.turns[i])
			f.due[i] = f.turns[i].due(heaviest)
			if left--; left == 0 {
				return
			}
		}
	}
}

// due returns the first round r in which r*weight/heaviest has reached what was taken. It is
// less than the number of slots plus heaviest, the heaviest having a turn in every round.
func (t *turn) due(heaviest uint32) uint32 {
	if t.weight == heaviest {
		return t.taken
	}
	return uint32((uint64(t.taken)*uint64(heaviest) + uint64(t.weight) - 1) / uint64(t.weight))
}

// take gives t the first free slot of its permutation.
func (f *filler) take(t *turn) {
	slot, skip, m := t.next, t.skip, uint32(len(f.table))
	for !f.free.take(slot) {
		slot = step(slot, skip, m)
	}
	f.table[slot] = t.replica
	t.next = step(slot, skip, m)
	t.taken++
}

// step returns slot + skip mod m, both being less than m.
func step(slot, skip, m uint32) uint32 {
	slot += skip
	if slot >= m {
		slot -= m
	}
	return slot
}

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

// freeSet knows the free slots of a table, one bit each: a table of 65,537 then fits the
// level-1 cache, and most of the time goes into asking for slots that are taken.
type freeSet []uint64

// newFreeSet returns n free slots.
func newFreeSet(n uint32) freeSet {
	f := make(freeSet, n/64+1)
	for i := range f {
		f[i] = ^uint64(0)
	}
	return f
}

// take reports whether the slot was free, and takes it.
func (f freeSet) take(slot uint32) bool {
	word, bit := &f[slot/64], uint64(1)<<(slot%64)
	if *word&bit == 0 {
		return false
	}
	*word &^= bit
	return true
}
