package load

import (
	"fmt"
	"math"
)

func (c Config) validate() error {
	if !(c.Rate > 0 && c.Rate <= MaxRate) {
		return fmt.Errorf("rate of %g packets/s: want more than 0, at most %g", c.Rate, float64(MaxRate))
	}
	switch c.Timing {
	case Constant, Poisson:
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
	switch c.Choice {
	case Uniform:
	case Zipf:
		if !(c.Skew >= 0 && c.Skew <= 10) {
			return fmt.Errorf("skew of %g: want 0 to 10", c.Skew)
		}
	case Elephants:
		if c.Elephants < 1 || c.Elephants >= c.Flows {
			return fmt.Errorf("%d elephants of %d flows: want at least one, and one flow that is none", c.Elephants, c.Flows)
		}
		if !(c.ElephantShare >= 0 && c.ElephantShare <= 1) {
			return fmt.Errorf("elephants' share of %g: want 0 to 1", c.ElephantShare)
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
