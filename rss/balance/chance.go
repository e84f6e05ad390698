package balance

import (
	"errors"
	"fmt"
	"math"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"
)

// Band is a range of counts, both ends included.
type Band struct {
	Low, High int
}

// Contains tells whether a count is in the band.
func (b Band) Contains(count int) bool { return b.Low <= count && count <= b.High }

// ShareBands returns for each place the band that holds its count with a probability of at
// least level, when n independent items are spread at random by the weights: the exact central
// interval of the binomial distribution. level is above 0 and below 1.
//
// Each band is for one place. Of 20 places one is outside its band of 0.95 on average;
// for a statement about all places use Simultaneous.
func ShareBands(n int, weights []float64, level float64) ([]Band, error) {
	shares, err := normalise(weights)
	switch {
	case err != nil:
		return nil, fmt.Errorf("compute bands: %w", err)
	case n < 1:
		return nil, errors.New("compute bands: nothing was counted")
	case !(level > 0 && level < 1):
		return nil, fmt.Errorf("compute bands: level %v: want above 0 and below 1", level)
	}
	bands := make([]Band, len(shares))
	for i, share := range shares {
		bands[i] = binomialBand(n, share, level)
	}
	return bands, nil
}

// Simultaneous returns the level that each band needs for the bands of so many places to hold
// all at once with a probability of at least level (Bonferroni).
func Simultaneous(level float64, places int) float64 {
	return 1 - (1-level)/float64(max(places, 1))
}

func binomialBand(n int, share, level float64) Band {
	switch share {
	case 0:
		return Band{0, 0}
	case 1:
		return Band{n, n}
	}
	tail := (1 - level) / 2
	d := distuv.Binomial{N: float64(n), P: share}
	return Band{
		// the least counts with at most one tail below, and at most one tail above
		Low:  sort.Search(n, func(k int) bool { return d.CDF(float64(k)) > tail }),
		High: sort.Search(n, func(k int) bool { return d.Survival(float64(k)) <= tail }),
	}
}

// Chance is the distribution of a random count.
type Chance struct {
	Mean, Variance float64
	// least and most bound the count.
	least, most int
	// exact are the probabilities of least, least+1, ..., nil where they were not computed.
	exact []float64
}

// Band returns the central band that holds the count with a probability of at least level,
// which is above 0 and below 1. It is exact where the distribution was computed.
// Otherwise it follows from mean and variance: by the normal distribution, or for a
// small variance by Cantelli's inequality, which is wide but always holds.
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

// Fit is the outcome of Pearson's chi-square test.
type Fit struct {
	// Statistic is the sum of (observed - expected)^2 / expected.
	Statistic float64
	// Degrees is the number of places with a weight above 0, minus 1.
	Degrees int
	// P is the probability of at least this statistic by chance: near 0
	// the counts are too uneven, near 1 they are more even than chance.
	P float64
	// LeastExpected is the smallest expected count. P is an approximation that needs at
	// least 5.
	LeastExpected float64
}

// ChiSquare tests whether counts are spread over places by the weights. A count where the
// weight is 0 makes the statistic infinite. It returns an error when the lengths differ,
// there is nothing to test, or a count or weight is negative.
func ChiSquare(observed []int, weights []float64) (Fit, error) {
	shares, n, err := compare(observed, weights)
	if err != nil {
		return Fit{}, fmt.Errorf("test fit: %w", err)
	}
	fit := Fit{Degrees: -1, LeastExpected: math.Inf(1)}
	for i, share := range shares {
		fit.add(float64(observed[i]), share*float64(n))
	}
	fit.P = survival(fit.Statistic, fit.Degrees)
	return fit, nil
}

func (f *Fit) add(observed, expected float64) {
	if expected == 0 {
		if observed > 0 {
			f.Statistic = math.Inf(1)
		}
		return
	}
	f.Statistic += (observed - expected) * (observed - expected) / expected
	f.Degrees++
	f.LeastExpected = min(f.LeastExpected, expected)
}

// survival returns the probability that a chi-square variable is at least x.
func survival(x float64, degrees int) float64 {
	switch {
	case math.IsInf(x, 1):
		return 0
	case degrees == 0: // the only place has all
		return 1
	}
	return distuv.ChiSquared{K: float64(degrees)}.Survival(x)
}
