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
