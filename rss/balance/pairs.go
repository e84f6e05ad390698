package balance

import "math"

// SpreadPairs returns by chance the number of distinct (object, replica) pairs,
// the filled cells of the heat map, under the conditions of SpreadObjects.
//
// An object with r requests meets a replica of weight w with probability 1-(1-w)^r,
// together N(1-(1-1/N)^r) of N equal ones. Mean and Variance are exact, as is the band for
// equal replicas and up to 4096 pairs. The work is objects times the square of the
// replicas.
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

// occupied returns mean and variance of the number of places that at least one of
// r things fell on. It is the places minus the empty ones, whose indicators have
// mean (1-a)^r and joint mean (1-a-b)^r.
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

// occupancy returns the probabilities that r things fall on 0, 1, ... places of
// equal ones: the next thing meets a place that is not empty with probability k/places.
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
