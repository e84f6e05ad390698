package identify

import (
	"fmt"
	"math"
)

// TurnTable is an indirection table that is filled in turn: entry i is i modulo the number of queues.
type TurnTable struct {
	Queues int
	// Sizes are the sizes that explain the observations; if the number of queues is a power of two, all sizes do.
	Sizes []int
}

// tableSizes are the sizes that are tried.
func tableSizes() []int { return []int{8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096} }

// tables returns the table filled in turn under which hashes and queues agree, if both were observed, with the smallest
// possible number of queues. If there is none, it notes the possible size of another table.
func tables(observations []Observation) (t *TurnTable, notes []string) {
	seen := 0
	for i := range observations {
		if !observations[i].HasQueue {
			return nil, nil
		}
		seen = max(seen, int(observations[i].Queue)+1)
	}
	for queues := seen; queues <= 2*seen; queues++ { // the last ones may not have been observed
		if float64(len(observations))*math.Log2(float64(queues)) < enough {
			continue
		}
		var sizes []int
		for _, size := range tableSizes() {
			if size >= queues && filledInTurn(observations, size, queues) {
				sizes = append(sizes, size)
			}
		}
		if sizes != nil {
			return &TurnTable{queues, sizes}, nil
		}
	}
	possible := false
	for _, size := range tableSizes() {
		again, ok := anyTable(observations, size)
		if ok && float64(again)*math.Log2(float64(seen)) >= enough {
			return nil, []string{fmt.Sprintf("an indirection table of %d entries, not filled in turn, explains the queues", size)}
		}
		possible = possible || ok
	}
	if !possible {
		notes = []string{"no indirection table explains the queues by the hashes"}
	}
	return nil, notes
}

func filledInTurn(observations []Observation, size, queues int) bool {
	for i := range observations {
		o := &observations[i]
		if int(o.Hash)%size%queues != int(o.Queue) {
			return false
		}
	}
	return true
}

// anyTable tells whether the index determines the queue, and how many hashes had the index of an earlier
// one.
func anyTable(observations []Observation, size int) (again int, ok bool) {
	first, seen := map[int]int{}, map[uint32]bool{}
	for i := range observations {
		o := &observations[i]
		if seen[o.Hash] {
			continue
		}
		seen[o.Hash] = true
		at := int(o.Hash) % size
		if earlier, met := first[at]; !met {
			first[at] = int(o.Queue)
		} else if earlier != int(o.Queue) {
			return 0, false
		} else {
			again++
		}
	}
	return again, true
}
