package balance

import (
	"fmt"
	"math"
)

// Imbalance returns the greatest ratio of a place's count to the count that its
// weight asks for: max/mean when weights are equal. 1 is perfect, infinite is a count where
// the weight is 0. It returns an error as ChiSquare does.
func Imbalance(counts []int, weights []float64) (float64, error) {
	shares, n, err := compare(counts, weights)
	if err != nil {
		return 0, fmt.Errorf("compute imbalance: %w", err)
	}
	worst := 0.0
	for i, share := range shares {
		switch {
		case share > 0:
			worst = max(worst, float64(counts[i])/(share*float64(n)))
		case counts[i] > 0:
			return math.Inf(1), nil
		}
	}
	return worst, nil
}

// ImbalanceBound returns the imbalance that n things fallen by chance exceed with
// a probability of at most 1-level. It takes the upper ends of the places'
// simultaneous bands: a union bound, somewhat wide. It returns an error as ShareBands does.
func ImbalanceBound(n int, weights []float64, level float64) (float64, error) {
	bands, err := ShareBands(n, weights, Simultaneous(level, len(weights)))
	if err != nil {
		return 0, err
	}
	shares, err := normalise(weights)
	if err != nil {
		return 0, err
	}
	worst := 0.0
	for i, band := range bands {
		if shares[i] > 0 {
			worst = max(worst, float64(band.High)/(shares[i]*float64(n)))
		}
	}
	return worst, nil
}

// Jain returns the fairness index of Jain, Chiu and Hawe (DEC-TR-301, 1984):
// (sum x)^2 / (n * sum x^2), from 1/n (one place has all) to 1 (all have the same).
// It is NaN when there are no counts or all are 0.
func Jain(counts []int) float64 {
	var sum, squares float64
	for _, c := range counts {
		sum += float64(c)
		squares += float64(c) * float64(c)
	}
	return sum * sum / (float64(len(counts)) * squares)
}
