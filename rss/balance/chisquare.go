package balance

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Fit is the outcome of Pearson's chi-square test.
type Fit struct {
	// Statistic is the sum of (observed - expected)^2 / expected.
	Statistic float64
	// Degrees is the number of places with a weight above 0, minus 1.
	Degrees int
	// P is the probability of such a statistic or a greater one by chance: near 0
	// the counts are too uneven, near 1 they are more even than chance.
	P float64
	// LeastExpected is the smallest expected count. P is an approximation that is
	// trusted from 5 on.
	LeastExpected float64
}

// ChiSquare tests whether counts fell on places by the weights. A count where the
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
	case degrees == 0: // one place: it has all
		return 1
	}
	return distuv.ChiSquared{K: float64(degrees)}.Survival(x)
}
