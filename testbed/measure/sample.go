package measure

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/floats/scalar"
	"gonum.org/v1/gonum/stat"
)

// Sample is one figure of each round.
type Sample struct {
	// Values are those of the quiet rounds, in the order of the rounds; of all rounds if Unquiet is set.
	Values []float64
	// Excluded is the number of rounds that were left out because they were noisy.
	Excluded int
	// Unquiet says what disturbed the machine in too many rounds, "" if it was quiet: see Noise.
	Unquiet string
}

// Quantile returns the value below which a share q, 0 to 1, of the values lies: the nearest
// rank. NaN when there is none. The values stay as they are.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	return stat.Quantile(q, stat.Empirical, slices.Sorted(slices.Values(values)), nil)
}

// Median is the quantile 0.5.
func Median(values []float64) float64 { return Quantile(values, 0.5) }

// Ratio is a by b.
func Ratio(a, b float64) float64 { return a / b }

// Difference is a less b.
func Difference(a, b float64) float64 { return a - b }

// Round rounds to a number of decimals, for a reader.
func Round(v float64, decimals int) float64 { return scalar.Round(v, decimals) }

// Collect returns one figure of each measurement.
func Collect[M any](all []M, figure func(M) float64) []float64 {
	values := make([]float64, len(all))
	for i, m := range all {
		values[i] = figure(m)
	}
	return values
}

// Line returns the line through points by least squares.
func Line(x, y []float64) (intercept, slope float64) { return stat.LinearRegression(x, y, nil, false) }
