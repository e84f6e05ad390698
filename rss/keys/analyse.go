package keys

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"lbctl/rss"
	"lbctl/rss/gf2"
)

// TableSizes are the sizes of indirection tables that ranks are given for: those that NICs have.
func TableSizes() []int { return []int{64, 128, 256, 512, 1024, 2048, 4096} }

// Analysis is what can be said of a key without knowing the traffic.
type Analysis struct {
	// Period is the smallest number of bits after which the whole key repeats, at most half
	// its length; 0 if it does not.
	Period int
	// HalvesEqual is true when the second half of the key's bytes repeats the first.
	HalvesEqual bool
	Ranks       []Rank
	Symmetries  []Symmetry
}

// Rank says how many bits of a table's index depend on a field: 2^Bits[i] entries are
// reached when the field takes all its values and nothing else changes.
type Rank struct {
	Family Family
	Field  rss.Fields
	// Bits has one number for each of TableSizes, at most log2(size).
	Bits []int
}

// Symmetry says whether both directions of a flow have the same hash.
type Symmetry struct {
	Family Family
	// Fields are rss.Addresses or rss.FourTuple.
	Fields rss.Fields
	// LowBits is the number of low bits of the hash that are the same for every flow, 0 to 32. The
	// index into a table of 2^n entries is the same if it is at least n.
	LowBits int
}

// Analyse analyses a valid key.
func Analyse(key rss.Key) Analysis {
	half := len(key) / 2
	a := Analysis{Period: period(key), HalvesEqual: len(key)%2 == 0 && slices.Equal(key[:half], key[half:])}
	for _, f := range families() {
		for _, field := range fields() {
			a.Ranks = append(a.Ranks, rank(key, f, field))
		}
		for _, set := range []rss.Fields{rss.Addresses, rss.FourTuple} {
			a.Symmetries = append(a.Symmetries, Symmetry{f, set, symmetricBits(key, f, set)})
		}
	}
	return a
}

func rank(key rss.Key, f Family, field rss.Fields) Rank {
	r := Rank{Family: f, Field: field}
	for _, size := range TableSizes() {
		r.Bits = append(r.Bits, indexRank(key, f, field, bits.Len(uint(size))-1))
	}
	return r
}

// indexRank is the number of the low n bits of the hash that a field moves independently.
func indexRank(key rss.Key, f Family, field rss.Fields, n int) int {
	low := windows(key, f, field)
	for i := range low {
		low[i] &= 1<<n - 1
	}
	return gf2.Rank(low)
}

// Blind returns the bits of a field that do not move the index into a table of this size.
func Blind(key rss.Key, f Family, field rss.Fields, size int) (ranges []BitRange) {
	all := windows(key, f, field)
	slices.Reverse(all) // from the least significant bit on
	for bit, w := range all {
		if w&uint32(1<<indexBits(size)-1) != 0 {
			continue
		}
		if n := len(ranges); n > 0 && ranges[n-1].High == bit-1 {
			ranges[n-1].High = bit
		} else {
			ranges = append(ranges, BitRange{field, bit, bit})
		}
	}
	return ranges
}

// symmetricBits is the number of low bits in which the windows of each field are those of its mirror.
func symmetricBits(key rss.Key, f Family, set rss.Fields) int {
	var differ uint32
	for _, field := range fields() {
		if set&field == 0 {
			continue
		}
		there := windows(key, f, mirror(field))
		for i, w := range windows(key, f, field) {
			differ |= w ^ there[i]
		}
	}
	return bits.TrailingZeros32(differ)
}

func period(key rss.Key) int {
	bit := func(i int) byte { return key[i/8] >> (7 - i%8) & 1 }
	for p := 1; p <= 8*len(key)/2; p++ {
		repeats := true
		for i := 0; repeats && i+p < 8*len(key); i++ {
			repeats = bit(i) == bit(i+p)
		}
		if repeats {
			return p
		}
	}
	return 0
}

// Attack is how easily a sender with one IPv4 address can put its flows to one server on one queue.
type Attack struct {
	// Fewest and Most are how many of the 65,536 source ports lead to a queue: to the one with
	// the fewest, which may be 0, and to the one with the most.
	Fewest, Most int
	// Tries is the mean number of random ports until one leads to the queue that has the most.
	Tries float64
	// Probes is the number of ports whose entries an attacker who does not know the key must learn
	// (by latency, say) to know the entry of every port: in a table whose size is a power of two, the entry is an
	// affine function of the port. 0 for other tables.
	Probes int
}

// SourcePorts returns how one client's source ports spread over the queues of a table. It returns an error when
// the table is empty.
func SourcePorts(key rss.Key, table rss.Table) (Attack, error) {
	if len(table) == 0 {
		return Attack{}, fmt.Errorf("indirection table is empty")
	}
	first := patterns()[0]
	source, destination := first.flow(0)
	input := rss.AppendTuple(nil, source, destination)
	hash := rss.NewTables(key, len(input))
	counts := make([]int, table.Queues())
	for port := range 1 << 16 {
		binary.BigEndian.PutUint16(input[8:], uint16(port))
		counts[table.Queue(hash.Hash(input))]++
	}
	a := Attack{Fewest: 1 << 16}
	if n := len(table); n&(n-1) == 0 {
		a.Probes = 1 + indexRank(key, IPv4, rss.SourcePort, indexBits(n))
	}
	for q, share := range table.Shares() {
		if share > 0 {
			a.Fewest, a.Most = min(a.Fewest, counts[q]), max(a.Most, counts[q])
		}
	}
	a.Tries = (1 << 16) / float64(a.Most)
	return a, nil
}
