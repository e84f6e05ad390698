package balance

import (
	"fmt"
	"math"
)

// maxExact is how many outcomes a distribution may have that is computed exactly:
// the work is its square.
const maxExact = 4096

// SpreadObjects returns by chance the number of objects that are served by more
// than one replica, when object i is asked for over requests[i] connections and every
// connection falls on a replica by the weights.
//
// An object with r > 0 requests is on one replica only with probability
// sum(w^r), which is N(1/N)^r for N equal replicas. Mean and Variance are exact, as is the
// band up to 4096 objects whose outcome is open. All of it takes requests for
// different objects to come over different connections; where they share some, the mean stays
// exact and the variance does not. To ask for one object again over one connection
// is not a further request.
//
// It returns an error when a request count is negative or the weights are not possible.
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

// spreadProbability returns the probability that r things do not all fall on one
// place.
func spreadProbability(r int, shares []float64) float64 {
	if r < 2 { // by rule, as the sum below is 1 but for rounding
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
