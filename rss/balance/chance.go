package balance

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Chance is the distribution of a count that chance decides.
type Chance struct {
	Mean, Variance float64
	// least and most bound the count.
	least, most int
	// exact holds the probabilities of least, least+1, ... where they were computed.
	exact []float64
}

// Band returns the central band that holds the count in at least level of all
// cases; level is above 0 and below 1. It is exact where the distribution was computed,
// else it comes from mean and variance: by the normal distribution, or where the variance is
// too small for that by Cantelli's inequality, which is wide but never wrong.
func (c Chance) Band(level float64) Band {
	tail := (1 - level) / 2
	if c.exact != nil {
		return c.exactBand(tail)
	}
	sd := math.Sqrt(c.Variance)
	low, high := c.Mean-sd*math.Sqrt((1-tail)/tail), c.Mean+sd*math.Sqrt((1-tail)/tail)
	if c.Variance >= 4 {
		reach := distuv.UnitNormal.Quantile(1-tail) * sd
		low, high = math.Floor(c.Mean-reach+0.5), math.Ceil(c.Mean+reach-0.5)
	}
	return Band{
		Low:  max(c.least, int(math.Floor(low))),
		High: min(c.most, int(math.Ceil(high))),
	}
}

func (c Chance) exactBand(tail float64) Band {
	low, high := 0, len(c.exact)-1
	for below := c.exact[low]; below <= tail && low < high; below += c.exact[low] {
		low++
	}
	for above := c.exact[high]; above <= tail && high > low; above += c.exact[high] {
		high--
	}
	return Band{Low: c.least + low, High: c.least + high}
}

// convolve returns the probabilities of the sum of two independent counts.
func convolve(a, b []float64) []float64 {
	sum := make([]float64, len(a)+len(b)-1)
	for i, p := range a {
		for j, q := range b {
			sum[i+j] += p * q
		}
	}
	return sum
}
