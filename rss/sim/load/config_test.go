package load

import (
	"math"
	"testing"
)

// Every bound of a configuration is a value that it may have, and what is next to it is refused.
func TestBoundsAreIncluded(t *testing.T) {
	for name, c := range map[string]struct {
		set     func(c *Config, v float64)
		in, out []float64
	}{
		"rate":             {func(c *Config, v float64) { c.Rate = v }, []float64{math.SmallestNonzeroFloat64, MaxRate}, []float64{0, math.Nextafter(MaxRate, 2*MaxRate), math.NaN()}},
		"flows":            {func(c *Config, v float64) { c.Flows = int(v) }, []float64{2, MaxFlows}, []float64{0, MaxFlows + 1}},
		"skew":             {func(c *Config, v float64) { c.Skew = v }, []float64{0, 10}, []float64{-5e-324, math.Nextafter(10, 11), math.NaN()}},
		"elephants":        {func(c *Config, v float64) { c.Choice, c.Elephants = Elephants, int(v) }, []float64{1, 9}, []float64{0, 10}},
		"elephants' share": {func(c *Config, v float64) { c.ElephantShare = v }, []float64{0, 1}, []float64{-5e-324, math.Nextafter(1, 2), math.NaN()}},
		"length":           {func(c *Config, v float64) { c.Lengths = []Length{{Bytes: int(v), Weight: 1}} }, []float64{14, 65535}, []float64{13, 65536}},
		"weight":           {func(c *Config, v float64) { c.Lengths = []Length{{Bytes: 64, Weight: v}} }, []float64{5e-324, 1e9}, []float64{0, math.Nextafter(1e9, 2e9), math.NaN()}},
	} {
		for taken, values := range map[bool][]float64{true: c.in, false: c.out} {
			for _, v := range values {
				config := Config{Rate: 1, Timing: Constant, Choice: Uniform, Flows: 10, Lengths: []Length{{Bytes: 64, Weight: 1}}}
				c.set(&config, v)
				if err := config.validate(); (err == nil) != taken {
					t.Errorf("%s of %v: %v", name, v, err)
				}
			}
		}
	}
}
