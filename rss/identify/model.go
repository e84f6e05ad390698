package identify

import (
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
