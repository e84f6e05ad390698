package identify

import (
	"math"

	"lbctl/rss"
)

// Verdict is what the observations allow to say.
type Verdict uint8

// The verdicts.
const (
	// Identified: one model explains the observations, and chance would not.
	Identified Verdict = iota
	// Undetermined: a model explains them, but so few would be explained by chance as well.
	Undetermined
	// Unexplained: no model that is known does.
	Unexplained
	// Constant: all flows had the same hash or queue; nothing is to be seen.
	Constant
)

// String returns "identified" and so on.
func (v Verdict) String() string {
	return [...]string{"identified", "undetermined", "unexplained", "constant"}[v]
}

// Model is what a NIC may be doing.
type Model struct {
	// Function is "toeplitz", "xor", "xor8", "xor8 inverted", "crc32" or "crc32c".
	Function string
	Arrangement
	Classes []ClassFields
	// Key is a key of toeplitz that explains all; of which only the bits in Known are certain, unless it has a
	// KeyName. Its length is that of the named key, or that of Options.
	Key rss.Key
	// KeyName is the name of a key under which all is explained, with what was made of it; empty if the key
	// was solved for.
	KeyName string
	// Known has a 1 for every bit of Key that follows from the observations alone.
	Known []byte
	// Freedom is the number of unknown bits that the observations reach and leave open: 2^Freedom keys
	// (with initial values) explain them.
	Freedom int
	// Initial is what is added to every hash. InitialKnown has a 1 for every bit of it that follows from the observations;
	// the others are 0 because that explains all.
	Initial, InitialKnown uint32
	// TableSize is that of the indirection table where it mattered, else 0.
	TableSize int
	// Evidence is the number of observed bits that could have contradicted the model and did not.
	Evidence int
	// Wrong are the numbers, from 0, of the observations that contradict it.
	Wrong []int
}

// ClassFields are the fields that count for a class of packets.
type ClassFields struct {
	// Class is "tcp4", "udp6", "ip4" for packets without ports, or "input".
	Class string
	// Fields is 0 for raw input.
	Fields       rss.Fields
	Observations int
	// Also are other sets of fields that explain the observations as well.
	Also []rss.Fields
}

// score is the evidence less what the choice of the wrong observations is worth.
func score(evidence float64, observations, wrong int) float64 {
	a, _ := math.Lgamma(float64(observations + 1))
	b, _ := math.Lgamma(float64(wrong + 1))
	c, _ := math.Lgamma(float64(observations - wrong + 1))
	return evidence - (a-b-c)/math.Ln2
}
