package load

import (
	"fmt"
	"math"
	"time"
)

// Timing decides when packets come.
type Timing string

const (
	// Constant is one packet every 1/Rate.
	Constant Timing = "constant"
	// Poisson has exponential gaps of mean 1/Rate.
	Poisson Timing = "poisson"
	// Bursts is an interrupted Poisson process: it alternates between on and off for exponential times of mean On and
	// Off. While it is on, packets are Poisson at Rate*(On+Off)/On, so that the overall mean is Rate. It
	// begins at the start of an on-time.
	Bursts Timing = "bursts"
)

// Choice decides the flow of a packet.
type Choice string

const (
	// Uniform chooses among Flows with equal probability.
	Uniform Choice = "uniform"
	// Zipf chooses flow k, from 1, with a probability proportional to 1/k^Skew.
	Zipf Choice = "zipf"
	// Elephants gives the first Elephants flows ElephantShare of the packets, evenly, and the others the
	// rest, evenly.
	Elephants Choice = "elephants"
	// Flood makes every packet a new flow, a SYN from a random source.
	Flood Choice = "flood"
)

// Config describes a load.
type Config struct {
	Seed uint64
	// Rate is the mean of packets per second, above 0 and at most MaxRate.
	Rate   float64
	Timing Timing
	// On and Off are the mean times of Bursts, above 0 there.
	On, Off time.Duration
	Choice  Choice
	// Flows is the number of flows, 1 to MaxFlows; ignored by Flood.
	Flows int
	// Skew is the exponent of Zipf: 0 is uniform, 1 is the classic.
	Skew float64
	// Elephants is the number of large flows, below Flows; ElephantShare their share of the packets, 0 to 1.
	Elephants     int
	ElephantShare float64
	// Lengths are the lengths of frames with their weights.
	Lengths []Length
}

// Length is a frame's length in bytes, without preamble and gap, and its frequency
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

func (c Config) validate() error {
	if !(c.Rate > 0 && c.Rate <= MaxRate) {
		return fmt.Errorf("rate of %g packets/s: want more than 0, at most %g", c.Rate, float64(MaxRate))
	}
	switch c.Timing {
	case Constant, Poisson:
		if c.On < 0 || c.Off < 0 {
			return fmt.Errorf("bursts of %v every %v: want neither below 0", c.On, c.Off)
		}
	case Bursts:
		if c.On <= 0 || c.Off <= 0 {
			return fmt.Errorf("bursts of %v every %v: want both above 0", c.On, c.Off)
		}
	default:
		return fmt.Errorf("timing %q is not known", c.Timing)
	}
	if err := c.validateChoice(); err != nil {
		return err
	}
	return validateLengths(c.Lengths)
}

func (c Config) validateChoice() error {
	if c.Choice == Flood {
		return nil
	}
	if c.Flows < 1 || c.Flows > MaxFlows {
		return fmt.Errorf("%d flows: want 1 to %d", c.Flows, MaxFlows)
	}
	// Also what this choice does not use: a number that cannot be meant is a mistake.
	if !(c.Skew >= 0 && c.Skew <= 10) {
		return fmt.Errorf("skew of %g: want 0 to 10", c.Skew)
	}
	if !(c.ElephantShare >= 0 && c.ElephantShare <= 1) {
		return fmt.Errorf("elephants' share of %g: want 0 to 1", c.ElephantShare)
	}
	if c.Elephants < 0 {
		return fmt.Errorf("%d elephants: want 0 or more", c.Elephants)
	}
	switch c.Choice {
	case Uniform, Zipf:
	case Elephants:
		if c.Elephants < 1 || c.Elephants >= c.Flows {
			return fmt.Errorf("%d elephants of %d flows: want at least one, and one flow that is none", c.Elephants, c.Flows)
		}
	default:
		return fmt.Errorf("choice of flows %q is not known", c.Choice)
	}
	return nil
}

func validateLengths(lengths []Length) error {
	if len(lengths) == 0 {
		return fmt.Errorf("no length of frames: want at least one")
	}
	for _, l := range lengths {
		if l.Bytes < 14 || l.Bytes > math.MaxUint16 {
			return fmt.Errorf("frames of %d bytes: want 14 to %d", l.Bytes, math.MaxUint16)
		}
		if !(l.Weight > 0 && l.Weight <= 1e9) {
			return fmt.Errorf("weight %g of frames of %d bytes: want more than 0", l.Weight, l.Bytes)
		}
	}
	return nil
}
