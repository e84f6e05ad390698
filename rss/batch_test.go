package rss

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// batchOf is n random flows of both families, which share their ports.
type batchOf struct {
	source4, destination4, ports4 [][4]byte
	source6, destination6         [][16]byte
	ports                         []uint32
}

func randomBatch(random *rand.Rand, n int) batchOf {
	b := batchOf{
		source4: make([][4]byte, n), destination4: make([][4]byte, n), ports4: make([][4]byte, n), ports: make([]uint32, n),
		source6: make([][16]byte, n), destination6: make([][16]byte, n),
	}
	for i := range n {
		fill(random, b.source4[i][:])
		fill(random, b.destination4[i][:])
		fill(random, b.ports4[i][:])
		b.ports[i] = binary.BigEndian.Uint32(b.ports4[i][:])
		fill(random, b.source6[i][:])
		fill(random, b.destination6[i][:])
	}
	return b
}

// input4 is what is hashed of flow i.
func (b batchOf) input4(i int) []byte {
	return slices.Concat(b.source4[i][:], b.destination4[i][:], b.ports4[i][:])
}

func (b batchOf) input6(i int) []byte {
	return slices.Concat(b.source6[i][:], b.destination6[i][:], b.ports4[i][:])
}

// TestBatchEqualsTables compares batches of every length up to 300 with the tables, and checks that the memory
// after them is unchanged.
func TestBatchEqualsTables(t *testing.T) {
	const seed, most, behind = 3, 300, 0xdeadbeef
	random := rand.New(rand.NewPCG(seed, seed))
	for _, length := range []int{MinKeyLength, 41, 52, MaxKeyLength} {
		key := make(Key, length)
		fill(random, key)
		batch, tables := NewBatch(key), NewTables(key, IPv6TupleLength)
		all, hashes := randomBatch(random, most), make([]uint32, most+1)
		for n := range most + 1 {
			check := func(what string, want func(i int) uint32) {
				for i := range n {
					if hashes[i] != want(i) {
						t.Fatalf("seed %d, key of %d, %s: hash %d of %d = %#08x, tables %#08x", seed, length, what, i, n, hashes[i], want(i))
					}
				}
				if hashes[n] != behind {
					t.Fatalf("%s: a batch of %d wrote past its end", what, n)
				}
			}
			hashes[n] = behind
			batch.HashIPv4(hashes[:n], all.source4[:n], all.destination4[:n], all.ports4[:n])
			check("ipv4", func(i int) uint32 { return tables.Hash(all.input4(i)) })
			batch.HashIPv4(hashes[:n], all.source4[:n], all.destination4[:n], nil)
			check("ipv4 addresses", func(i int) uint32 { return tables.Hash(all.input4(i)[:8]) })
			batch.HashIPv6(hashes[:n], all.source6[:n], all.destination6[:n], all.ports[:n])
			check("ipv6", func(i int) uint32 { return tables.Hash(all.input6(i)) })
			batch.HashIPv6(hashes[:n], all.source6[:n], all.destination6[:n], nil)
			check("ipv6 addresses", func(i int) uint32 { return tables.Hash(all.input6(i)[:32]) })
		}
	}
}

// Flows of both families in any order have the hashes of their tuples.
func TestHashFlows(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	batch, tables := NewBatch(MicrosoftKey()), NewTables(MicrosoftKey(), IPv6TupleLength)
	for _, n := range []int{0, 1, chunk, chunk + 1, 3000} {
		sources, destinations, hashes := make([]netip.AddrPort, n), make([]netip.AddrPort, n), make([]uint32, n)
		family := 0
		for i := range n {
			if random.IntN(100) == 0 {
				family = random.IntN(3)
			}
			sources[i], destinations[i] = endpoint(random, family), endpoint(random, family)
		}
		batch.HashFlows(hashes, func(i int) (netip.AddrPort, netip.AddrPort) { return sources[i], destinations[i] })
		for i, h := range hashes {
			if want := tables.Hash(AppendTuple(nil, sources[i], destinations[i])); h != want {
				t.Fatalf("flow %d of %d, %v > %v: %#08x, want %#08x", i, n, sources[i], destinations[i], h, want)
			}
		}
	}
}

// endpoint returns one of IPv4, of IPv6, or of IPv4 written as IPv6.
func endpoint(random *rand.Rand, family int) netip.AddrPort {
	var b [16]byte
	fill(random, b[:])
	a := netip.AddrFrom16(b)
	if family != 1 {
		a = netip.AddrFrom4([4]byte(b[:4]))
	}
	if family == 2 {
		a = netip.AddrFrom16(a.As16())
	}
	return netip.AddrPortFrom(a, uint16(random.Uint32()))
}

// FuzzBatch compares batches with the tables under any key.
func FuzzBatch(f *testing.F) {
	f.Add([]byte(MicrosoftKey()), uint64(1), uint16(17))
	f.Add(make([]byte, MaxKeyLength), uint64(2), uint16(0))
	f.Fuzz(func(t *testing.T, key []byte, seed uint64, n uint16) {
		if Key(key).Validate() != nil || n > 300 {
			t.Skip("out of the range of keys and lengths")
		}
		all := randomBatch(rand.New(rand.NewPCG(seed, seed)), int(n))
		batch, tables, hashes := NewBatch(key), NewTables(key, IPv6TupleLength), make([]uint32, n)
		batch.HashIPv4(hashes, all.source4, all.destination4, all.ports4)
		for i, hash := range hashes {
			if want := tables.Hash(all.input4(i)); hash != want {
				t.Fatalf("key %x, seed %d: ipv4 hash %d of %d = %#08x, tables %#08x", key, seed, i, n, hash, want)
			}
		}
		batch.HashIPv6(hashes, all.source6, all.destination6, all.ports)
		for i, hash := range hashes {
			if want := tables.Hash(all.input6(i)); hash != want {
				t.Fatalf("key %x, seed %d: ipv6 hash %d of %d = %#08x, tables %#08x", key, seed, i, n, hash, want)
			}
		}
	})
}

func TestBatchPanicsOnUnequalLengths(t *testing.T) {
	b, hashes, two, three, six := NewBatch(MicrosoftKey()), make([]uint32, 2), make([][4]byte, 2), make([][4]byte, 3), make([][16]byte, 2)
	for name, call := range map[string]func(){
		"sources":           func() { b.HashIPv4(hashes, three, two, two) },
		"destinations":      func() { b.HashIPv4(hashes, two, three, two) },
		"ports":             func() { b.HashIPv4(hashes, two, two, three) },
		"no ports, not nil": func() { b.HashIPv4(hashes, two, two, two[:0]) },
		"ipv6":              func() { b.HashIPv6(make([]uint32, 3), six, six, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: a batch of unequal lengths did not panic", name)
				}
			}()
			call()
		}()
	}
}

func TestBatchDoesNotAllocate(t *testing.T) {
	const n = 37 // with a tail
	b, all, hashes := NewBatch(MicrosoftKey()), randomBatch(rand.New(rand.NewPCG(1, 1)), n), make([]uint32, n)
	allocations := testing.AllocsPerRun(100, func() {
		b.HashIPv4(hashes, all.source4, all.destination4, all.ports4)
		b.HashIPv6(hashes, all.source6, all.destination6, all.ports)
	})
	if allocations != 0 {
		t.Errorf("%v allocations a batch, want 0", allocations)
	}
}
