package balance

import "math"

// CV returns the coefficient of variation of counts: their standard deviation (of all, not of a
// sample) by their mean; 0 is perfect. It is NaN when there are no counts or all are 0.
func CV(counts []int) float64 {
	var sum, squares float64
	for _, c := range counts {
		sum += float64(c)
	}
	mean := sum / float64(len(counts))
	for _, c := range counts {
		squares += (float64(c) - mean) * (float64(c) - mean)
	}
	return math.Sqrt(squares/float64(len(counts))) / mean
}

// QuantisationFloor returns the imbalance, max/mean over places, that is left when every entry of a
// table gets the same load: a table of 128 entries over 3 places gives one of them 43.
// weights are the shares of entries; 1 is no floor. It returns an error when they are not possible.
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

// MaxMean returns the greatest load by the mean; NaN when there are no loads or all are 0.
func MaxMean(loads []uint64) float64 {
	var most uint64
	sum := 0.0
	for _, l := range loads {
		most = max(most, l)
		sum += float64(l)
	}
	return float64(most) * float64(len(loads)) / sum
}
