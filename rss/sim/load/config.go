package load

import "time"

// Timing is when packets come.
type Timing string

const (
	// Constant is one packet every 1/Rate.
	Constant Timing = "constant"
	// Poisson has exponential gaps of mean 1/Rate.
	Poisson Timing = "poisson"
	// Bursts alternates between on and off, for exponential times of mean On and Off. While it
	// is on packets are Poisson, at Rate*(On+Off)/On, so that Rate is the mean over all: an
	// interrupted Poisson process. It begins at the start of an on-time.
	Bursts Timing = "bursts"
)

// Choice is of which flow a packet is.
type Choice string

const (
	// Uniform chooses among Flows with equal probability.
	Uniform Choice = "uniform"
	// Zipf chooses flow k, from 1, with a probability that goes as 1/k^Skew.
	Zipf Choice = "zipf"
	// Elephants gives the first Elephants flows ElephantShare of the packets, evenly, and the others the
	// rest, evenly.
	Elephants Choice = "elephants"
	// Flood makes every packet a flow of its own, a SYN from a random source.
	Flood Choice = "flood"
)

// Config describes a load.
type Config struct {
	Seed uint64
	// Rate is the mean of packets per second, above 0 and at most MaxRate.
	Rate   float64
	Timing Timing
	// On and Off are the mean times of Bursts, both above 0 there.
	On, Off time.Duration
	Choice  Choice
	// Flows is how many there are, 1 to MaxFlows; Flood does not look at it.
	Flows int
	// Skew is Zipf's exponent: 0 is uniform, 1 is the classic.
	Skew float64
	// Elephants is their number, below Flows; ElephantShare their part of the packets, 0 to 1.
	Elephants     int
	ElephantShare float64
	// Lengths are those of frames, in bytes, with their weights.
	Lengths []Length
}

// Length is a frame's length in bytes, without preamble and gap, and how often it comes
// relative to others.
type Length struct {
	Bytes  int
	Weight float64
}

// The greatest load.
const (
	MaxRate  = 1e9
	MaxFlows = 1 << 24
)

// Fixed returns frames of one length.
func Fixed(bytes int) []Length { return []Length{{bytes, 1}} }

// IMIX returns the "simple IMIX": 7 frames of 64 bytes to 4 of 594 and 1 of 1518 (packets of
// 40, 576 and 1500 bytes in Ethernet frames; Spirent, "Test Methodology Journal: IMIX",
// 2006, and RFC 6985 for what such mixes are).
func IMIX() []Length { return []Length{{64, 7}, {594, 4}, {1518, 1}} }

// MeanLength returns the mean length in bytes.
func MeanLength(lengths []Length) float64 {
	var sum, weight float64
	for _, l := range lengths {
		sum += float64(l.Bytes) * l.Weight
		weight += l.Weight
	}
	return sum / weight
}
