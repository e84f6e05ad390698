package balance

import (
	"fmt"
	"math"
)

// maxExact is the most outcomes of a distribution that is computed exactly. The work grows with its
// square.
const maxExact = 4096

// SpreadObjects returns the distribution of the number of objects that are served by more
// than one replica, when object i is requested over requests[i] connections and every
// connection goes to a random replica by the weights. A repeated request over one connection does
// not count.
//
// All r > 0 requests for an object go to one replica with probability
// sum(w^r), which is N(1/N)^r for N equal replicas. Mean and Variance are exact, and so is the
// band of up to 4096 objects with an uncertain outcome. This assumes that requests for
// different objects use different connections; if they share some, the mean stays
// exact and the variance does not.
//
// It returns an error when a request count is negative or the weights are invalid.
func SpreadObjects(requests []int, weights []float64) (Chance, error) {
	shares, err := checkSpread(requests, weights)
	if err != nil {
		return Chance{}, err
	}
	var c Chance
	exact := []float64{1}
	for _, r := range requests {
		p := spreadProbability(r, shares)
		c.Mean += p
		c.Variance += p * (1 - p)
		switch {
		case p == 1:
			c.least++
			c.most++
		case p > 0:
			c.most++
			if len(exact) <= maxExact {
				exact = convolve(exact, []float64{1 - p, p})
			}
		}
	}
	if len(exact) <= maxExact {
		c.exact = exact
	}
	return c, nil
}

// spreadProbability returns the probability that r items do not all go to one
// place.
func spreadProbability(r int, shares []float64) float64 {
	if r < 2 { // the sum below would be 1 except for rounding
		return 0
	}
	together := 0.0
	for _, w := range shares {
		together += math.Pow(w, float64(r))
	}
	return max(0, 1-together)
}

func checkSpread(requests []int, weights []float64) ([]float64, error) {
	shares, err := normalise(weights)
	if err != nil {
		return nil, fmt.Errorf("compute spread: %w", err)
	}
	for _, r := range requests {
		if r < 0 {
			return nil, fmt.Errorf("compute spread: %d requests: want 0 or more", r)
		}
	}
	return shares, nil
}

// SpreadPairs returns the distribution of the number of distinct (object, replica) pairs
// under the conditions of SpreadObjects.
//
// An object with r requests reaches a replica of weight w with probability 1-(1-w)^r, and
// on average N(1-(1-1/N)^r) of N equal ones. Mean and Variance are exact, and so is the band for
// equal replicas and up to 4096 pairs. The work is the number of objects times the square of the
// number of replicas.
func SpreadPairs(requests []int, weights []float64) (Chance, error) {
	shares, err := checkSpread(requests, weights)
	if err != nil {
		return Chance{}, err
	}
	var c Chance
	for _, r := range requests {
		mean, variance := occupied(r, shares)
		c.Mean += mean
		c.Variance += variance
		c.most += min(r, len(shares))
	}
	if equal(shares) && len(requests)*len(shares) <= maxExact {
		c.exact = []float64{1}
		for _, r := range requests {
			c.exact = convolve(c.exact, occupancy(r, len(shares)))
		}
	}
	return c, nil
}

// occupied returns mean and variance of the number of places that get at least one of
// r items. The indicator that a place is empty has mean (1-a)^r, that of two places
// (1-a-b)^r.
func occupied(r int, shares []float64) (mean, variance float64) {
	for i, a := range shares {
		empty := math.Pow(1-a, float64(r))
		mean += 1 - empty
		variance += empty * (1 - empty)
		for _, b := range shares[:i] {
			both := math.Pow(max(0, 1-a-b), float64(r))
			variance += 2 * (both - empty*math.Pow(1-b, float64(r)))
		}
	}
	return mean, max(0, variance)
}

// occupancy returns the probabilities that r items occupy 0, 1, ... of equal
// places: with k occupied, the next item goes to an occupied one with probability k/places.
func occupancy(r, places int) []float64 {
	pmf := make([]float64, places+1)
	pmf[0] = 1
	for range r {
		for k := places; k > 0; k-- {
			pmf[k] = (pmf[k]*float64(k) + pmf[k-1]*float64(places-k+1)) / float64(places)
		}
		pmf[0] = 0
	}
	return pmf
}

func equal(shares []float64) bool {
	for _, w := range shares {
		if w != shares[0] {
			return false
		}
	}
	return true
}
