package identify

import (
	"math/bits"

	"lbctl/rss"
	"lbctl/rss/gf2"
)

// parity is one linear equation about a hash: the sum of its bits under the mask.
type parity struct {
	mask uint32
	odd  bool
}

// hashParities are what a known hash says: all of its bits, of those in use.
func hashParities(hash, use uint32) []parity {
	all := make([]parity, 0, 32)
	for bit := range 32 {
		if mask := uint32(1) << bit; use&mask != 0 {
			all = append(all, parity{mask, hash&mask != 0})
		}
	}
	return all
}

// queueParities are, for each queue, what it says about the hash. A table of which nothing is known
// is taken to be filled in turn, and to have a multiple of as many entries as the largest power of two that
// divides the number of queues.
func queueParities(table rss.Table, queues int) [][]parity {
	if table != nil {
		return tableParities(table)
	}
	all := make([][]parity, queues)
	for q := range all {
		all[q] = hashParities(uint32(q), uint32(queues&-queues-1))
	}
	return all
}

// tableParities finds, for each queue, the sums of index bits that are the same in all its entries.
func tableParities(table rss.Table) [][]parity {
	known := len(table) & -len(table) // the hash modulo this is the index modulo this
	width := bits.Len(uint(known)) - 1
	first := make([]int, table.Queues())
	systems := make([]*gf2.System, len(first))
	for i, q := range table {
		if systems[q] == nil {
			first[q], systems[q] = i%known, gf2.NewSystem(width)
		}
		systems[q].Add(gf2.Vector{uint64(i%known ^ first[q])}) // width is at most 16: one word
	}
	all := make([][]parity, len(first))
	for q, s := range systems {
		if s == nil || width == 0 {
			continue
		}
		for _, v := range s.Kernel() {
			mask := uint32(v[0])
			all[q] = append(all[q], parity{mask, bits.OnesCount32(mask&uint32(first[q]))%2 == 1})
		}
	}
	return all
}
