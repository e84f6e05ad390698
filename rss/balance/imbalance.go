// Package balance is the statistics of load balancing: how evenly items are spread over queues
// or replicas, and whether that is what a random hash would do.
//
// A place is a queue or a replica. Weights are the shares that places should get;
// they need not sum to 1, and Equal returns those of equal places. Counted items must be
// independent, such as connections or flows with independent hashes. Packets of one flow are not
// independent, because all of them go to one place.
//
// Rebalance plans an indirection table for an observed load; LPT and Runs compute how
// even a load could be.
//
// All functions are pure, except LPT, which sorts its argument.
package balance

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"
)

// Equal returns the weights of n equal places.
func Equal(n int) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = 1 / float64(n)
	}
	return w
}

// normalise returns the weights scaled to sum 1. It returns an error when there
// are none, one is negative or not finite, or all are zero.
func normalise(weights []float64) ([]float64, error) {
	sum := 0.0
	for _, w := range weights {
		if w < 0 || math.IsNaN(w) || math.IsInf(w, 0) {
			return nil, fmt.Errorf("weight %v: want a finite number, 0 or more", w)
		}
		sum += w
	}
	if sum == 0 || math.IsInf(sum, 0) {
		return nil, errors.New("weights: want a finite sum above 0")
	}
	shares := make([]float64, len(weights))
	for i, w := range weights {
		shares[i] = w / sum
	}
	return shares, nil
}

// compare returns the share that each place should have by the weights, and the sum of the
// counts.
func compare(counts []int, weights []float64) (shares []float64, n int, err error) {
	if len(counts) != len(weights) {
		return nil, 0, fmt.Errorf("%d counts and %d weights: want as many", len(counts), len(weights))
	}
	if shares, err = normalise(weights); err != nil {
		return nil, 0, err
	}
	for _, c := range counts {
		if c < 0 {
			return nil, 0, fmt.Errorf("count %d: want 0 or more", c)
		}
		n += c
	}
	if n == 0 {
		return nil, 0, errors.New("nothing was counted")
	}
	return shares, n, nil
}

// Imbalance returns the greatest ratio of a place's count to its share by
// weight: max/mean when weights are equal. 1 is even; a count where the weight is 0 gives
// infinity. Errors are those of ChiSquare.
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

// ImbalanceBound returns the imbalance that n items at random exceed with
// a probability of at most 1-level. It takes the upper ends of the places'
// simultaneous bands, a union bound, which is somewhat wide. Errors are those of ShareBands.
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

// CV returns the coefficient of variation of counts: their population standard deviation divided by
// their mean; 0 is even. It is NaN when there are no counts or all are 0.
func CV(counts []int) float64 {
	values := make([]float64, len(counts))
	for i, c := range counts {
		values[i] = float64(c)
	}
	mean, deviation := stat.PopMeanStdDev(values, nil)
	return deviation / mean
}

// QuantisationFloor returns the imbalance, max/mean over places, that remains when every entry of a
// table has the same load: a table of 128 entries over 3 places gives one of them 43.
// weights are the shares of entries; 1 is no floor. It returns an error for invalid weights.
func QuantisationFloor(weights []float64) (float64, error) {
	shares, err := normalise(weights)
	if err != nil {
		return 0, err
	}
	worst := 0.0
	for _, s := range shares {
		worst = max(worst, s)
	}
	return worst * float64(len(shares)), nil
}

// MaxMean returns the greatest load divided by the mean; NaN when there are no loads or all are 0.
func MaxMean(loads []uint64) float64 {
	var most uint64
	sum := 0.0
	for _, l := range loads {
		most = max(most, l)
		sum += float64(l)
	}
	return float64(most) * float64(len(loads)) / sum
}
