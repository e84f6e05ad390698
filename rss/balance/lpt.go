package balance

import (
	"cmp"
	"slices"
)

// LPT puts things, none of which can be split, on places, the largest first, each where the load is
// least, and returns the loads of the places (Graham, "Bounds on multiprocessing timing
// anomalies", 1969: the greatest is at most 4/3 of the least possible). fixed is what lies on each
// place already and cannot be moved; it does not change. things is sorted, the largest first.
func LPT(things, fixed []uint64) []uint64 {
	return lpt(things, fixed, func(int, int) {})
}

// lpt tells put the place of each thing, by its number after sorting.
func lpt(things, fixed []uint64, put func(thing, place int)) []uint64 {
	slices.SortFunc(things, func(a, b uint64) int { return cmp.Compare(b, a) })
	loads := slices.Clone(fixed)
	heap := make([]int, len(loads)) // of places, the least loaded at the root
	for i := range heap {
		heap[i] = i
	}
	less := func(a, b int) bool { return cmp.Or(cmp.Compare(loads[a], loads[b]), cmp.Compare(a, b)) < 0 }
	for i := len(heap)/2 - 1; i >= 0; i-- {
		sift(heap, i, less)
	}
	for i, thing := range things {
		loads[heap[0]] += thing
		put(i, heap[0])
		sift(heap, 0, less)
	}
	return loads
}

// sift moves the element at i of a heap down to where it belongs.
func sift(heap []int, i int, less func(a, b int) bool) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(heap); child++ {
			if less(heap[child], heap[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		heap[i], heap[least] = heap[least], heap[i]
		i = least
	}
}
