package balance

import (
	"errors"
	"fmt"
	"math"
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

// compare returns, for counts to be held against weights, the share that each
// place should have and the sum of the counts.
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
