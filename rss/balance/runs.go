package balance

import (
	"slices"
	"sort"
)

// Runs returns the lengths of consecutive runs of buckets, one a place in the order of the places, that
// keep the load of the hottest place lowest: the best that `ethtool -X weight` can set, exactly.
// fixed lies on the places already. A run may be empty.
func Runs(buckets, fixed []uint64) []int {
	var low, high uint64
	for _, b := range buckets {
		high += b
	}
	high += slices.Max(fixed)
	low = slices.Max(fixed)
	n := sort.Search(int(min(high-low, 1<<62)), func(extra int) bool {
		_, ok := runsWithin(buckets, fixed, low+uint64(extra))
		return ok
	})
	lengths, _ := runsWithin(buckets, fixed, low+uint64(n))
	return lengths
}

// runsWithin fills places in turn up to a limit; false when buckets are left.
func runsWithin(buckets, fixed []uint64, limit uint64) ([]int, bool) {
	lengths, at := make([]int, len(fixed)), 0
	for q, load := range fixed {
		for at < len(buckets) && load+buckets[at] <= limit {
			load += buckets[at]
			lengths[q]++
			at++
		}
	}
	return lengths, at == len(buckets)
}
