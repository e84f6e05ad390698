package balance

import (
	"errors"
	"fmt"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"
)

// Band is a range of counts, both ends included.
type Band struct {
	Low, High int
}

// Contains tells whether a count is in the band.
func (b Band) Contains(count int) bool { return b.Low <= count && count <= b.High }

// ShareBands returns for each place the band in which its count lies by chance, in at
// least level of all cases, when n independent things fall by the weights: the central
// interval of the binomial distribution, exact. level is above 0 and below 1.
//
// Each band is for its place alone. Of 20 places one is outside its band of 0.95 on average;
// to ask of all at once, use Simultaneous.
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

// Simultaneous returns the level that each of places bands needs for all of them
// to hold at once in at least level of all cases (Bonferroni).
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
		// the least count that leaves at most a tail below it, and at most a tail above it
		Low:  sort.Search(n, func(k int) bool { return d.CDF(float64(k)) > tail }),
		High: sort.Search(n, func(k int) bool { return d.Survival(float64(k)) <= tail }),
	}
}
