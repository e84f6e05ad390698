package identify

import (
	"fmt"
	"math"

	"lbctl/rss"
)

// Verdict is the outcome of an identification.
type Verdict uint8

// The verdicts.
const (
	// Identified: a model explains the observations, with more evidence than chance would give.
	Identified Verdict = iota
	// Undetermined: a model explains them, but there are so few that a wrong model could as well.
	Undetermined
	// Unexplained: no known model explains them.
	Unexplained
	// Constant: all flows had the same hash or queue.
	Constant
)

// String returns "identified" and so on.
func (v Verdict) String() string {
	return [...]string{"identified", "undetermined", "unexplained", "constant"}[v]
}

// Model is a hash function with its key, input and fields.
type Model struct {
	// Function is "toeplitz", "xor", "xor8", "xor8 inverted", "crc32" or "crc32c".
	Function string
	Arrangement
	Classes []ClassFields
	// Key is a key of toeplitz that explains the observations. Only the bits in Known are certain, unless it has a
	// KeyName. Its length is that of the named key, or that of Options.
	Key rss.Key
	// KeyName is the name of a known key that explains the observations, with its variant; empty if the key
	// was solved for.
	KeyName string
	// Known has a 1 for every bit of Key that follows from the observations alone.
	Known []byte
	// Freedom is the number of unknown bits in the equations that they do not determine: 2^Freedom keys
	// (with initial values) explain the observations.
	Freedom int
	// Initial is the value that is exclusive-ored to every hash. InitialKnown has a 1 for every bit of it that follows
	// from the observations; the others are 0.
	Initial, InitialKnown uint32
	// TableSize is the size of the indirection table where it matters, else 0.
	TableSize int
	// Evidence is the number of observed bits that could have contradicted the model and did not.
	Evidence int
	// Wrong are the numbers, from 0, of the observations that contradict it.
	Wrong []int
}

// ClassFields are the hash fields of a class of packets.
type ClassFields struct {
	// Class is "tcp4", "udp6", "ip4" for packets without ports, or "input".
	Class string
	// Fields is 0 for raw input.
	Fields       rss.Fields
	Observations int
	// Wrong is how many of them contradict the model.
	Wrong int
	// Also are other sets of fields that explain the observations as well.
	Also []rss.Fields
}

// score is the evidence minus the information in the choice of the wrong observations.
func score(evidence float64, observations, wrong int) float64 {
	a, _ := math.Lgamma(float64(observations + 1))
	b, _ := math.Lgamma(float64(wrong + 1))
	c, _ := math.Lgamma(float64(observations - wrong + 1))
	return evidence - (a-b-c)/math.Ln2
}

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
		if float64(len(observations))*math.Log2(float64(queues)) < Enough {
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
		if ok && float64(again)*math.Log2(float64(seen)) >= Enough {
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
