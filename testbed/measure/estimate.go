package measure

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"lbctl/testbed/report"
)

// FalseAlarm is the false-alarm rate of a run: an experiment with k checks judges each at FalseAlarm/k, so that
// of 10,000 runs of something that meets its bounds at most one fails.
const FalseAlarm = 1e-4

// RoundsFor returns the fewest rounds of which the median can be judged at a false-alarm rate: 14 at FalseAlarm.
func RoundsFor(falseAlarm float64) int { return int(math.Ceil(-math.Log2(falseAlarm))) }

// Estimate is a quantity with the interval that its true value is in.
type Estimate struct {
	// Value is what was measured, NaN of nothing. Low and High are the interval, infinite where too little was
	// measured to give an end.
	Value, Low, High float64
	// FalseAlarm is the probability that the true value is below Low, and that it is above High.
	FalseAlarm float64
	// Test names the method.
	Test string
	// Samples is how many values it is from, Excluded how many rounds were left out, Unquiet why the machine was
	// not quiet: as in Sample.
	Samples, Excluded int
	Unquiet           string
}

// of adds what is known of a sample.
func (e Estimate) of(s Sample) Estimate {
	e.Excluded, e.Unquiet = s.Excluded, s.Unquiet
	return e
}

// Point returns it as a point of a chart at x. An end that the interval does not have is that of the axis.
func (e Estimate) Point(x float64) report.Point {
	return report.Point{X: x, Y: e.Value, Low: e.Low, High: e.High}
}

// Quantity returns it as a quantity of a report.
func (e Estimate) Quantity(name, unit string) report.Quantity {
	q := report.Quantity{Name: name, Unit: unit, Low: finite(e.Low), High: finite(e.High), Samples: e.Samples, Why: e.Unquiet}
	if value := finite(e.Value); value != nil {
		q.Value = *value
	}
	return q
}

// Median returns the median. Its interval is that of the sign test: exact for independent rounds of any
// distribution.
func (s Sample) Median(falseAlarm float64) Estimate {
	e := s.Quantile(0.5, falseAlarm)
	e.Test = "sign test"
	return e
}

// Quantile returns the quantile q, above 0 and below 1, of the distribution of the values. The ends of its
// interval are two of the values: exact for independent rounds of any distribution (Conover, Practical
// Nonparametric Statistics, 3.2).
func (s Sample) Quantile(q, falseAlarm float64) Estimate {
	n := len(s.Values)
	e := Estimate{
		Value: Quantile(s.Values, q), Low: math.Inf(-1), High: math.Inf(1),
		FalseAlarm: falseAlarm, Test: fmt.Sprintf("order statistics of quantile %v", q), Samples: n,
	}
	sorted := slices.Sorted(slices.Values(s.Values))
	below := distuv.Binomial{N: float64(n), P: q} // how many values are below the true quantile
	for i, v := range sorted {
		if below.CDF(float64(i)) <= falseAlarm {
			e.Low = v
		}
		if 1-below.CDF(float64(i)) <= falseAlarm {
			e.High = v
			break
		}
	}
	return e.of(s)
}

// Proportion returns the share k of n with the interval of Clopper and Pearson, which is exact for
// independent trials.
func Proportion(k, n int, falseAlarm float64) Estimate {
	e := Estimate{Value: float64(k) / float64(n), Low: 0, High: 1, FalseAlarm: falseAlarm, Test: "Clopper-Pearson", Samples: n}
	if k > 0 {
		e.Low = distuv.Beta{Alpha: float64(k), Beta: float64(n - k + 1)}.Quantile(falseAlarm)
	}
	if k < n {
		e.High = distuv.Beta{Alpha: float64(k + 1), Beta: float64(n - k)}.Quantile(1 - falseAlarm)
	}
	return e
}

// The bounds of the number of resamples, and the least number of values that a bootstrap is made of.
const (
	minResamples, maxResamples = 2_000, 200_000
	minBootstrap               = 20
)

// Bootstrap returns a statistic of the values: see the function Bootstrap.
func (s Sample) Bootstrap(statistic func([]float64) float64, falseAlarm float64, seed uint64) Estimate {
	values := make([]float64, 0, len(s.Values))
	return Bootstrap(len(s.Values), func(pick []int) float64 {
		values = values[:0]
		for _, i := range pick {
			values = append(values, s.Values[i])
		}
		return statistic(values)
	}, falseAlarm, seed).of(s)
}

// Bootstrap returns a statistic of n rounds, which statistic computes from those that are picked, some of them
// more than once. The interval is the bias-corrected and accelerated one (Efron, Better Bootstrap Confidence
// Intervals, 1987), expanded as Student's t expands the normal one (Hesterberg, What Teachers Should Know About
// the Bootstrap, 2015, 4.3). Resamples of which the statistic is NaN are left out. The same seed gives the
// same interval. Below 20 rounds it has no ends. In simulations of the mean of 20 normal values it missed the true
// one as often as asked for; of 20 exponential values, on the worse side, 1.4 times as often at 0.05 and 2.7 times
// at 0.005.
func Bootstrap(n int, statistic func(pick []int) float64, falseAlarm float64, seed uint64) Estimate {
	resamples := int(min(max(20/falseAlarm, minResamples), maxResamples))
	e := Estimate{
		Low: math.Inf(-1), High: math.Inf(1), FalseAlarm: falseAlarm, Samples: n,
		Test: fmt.Sprintf("BCa bootstrap, %d resamples", resamples),
	}
	pick := make([]int, n)
	for i := range pick {
		pick[i] = i
	}
	if e.Value = statistic(pick); n < minBootstrap || math.IsNaN(e.Value) {
		return e
	}
	acceleration := jackknife(pick, statistic)
	student := distuv.StudentsT{Sigma: 1, Nu: float64(n - 1)}.Quantile(falseAlarm)
	tail := distuv.UnitNormal.CDF(math.Sqrt(float64(n)/float64(n-1)) * student)
	random := rand.New(rand.NewPCG(seed, 0))
	var all []float64
	for range resamples {
		for i := range pick {
			pick[i] = random.IntN(n)
		}
		if v := statistic(pick); !math.IsNaN(v) {
			all = append(all, v)
		}
	}
	slices.Sort(all)
	e.Low = bca(all, e.Value, acceleration, tail)
	e.High = bca(all, e.Value, acceleration, 1-tail)
	return e
}

// bca returns the end of the interval at a probability, of the sorted resamples of a value.
func bca(sorted []float64, value, acceleration, probability float64) float64 {
	low, found := slices.BinarySearch(sorted, value)
	high := low
	for found && high < len(sorted) && sorted[high] == value {
		high++
	}
	n := float64(len(sorted))
	below := min(max((float64(low)+float64(high-low)/2)/n, 1/(n+1)), n/(n+1))
	bias := distuv.UnitNormal.Quantile(below)
	z := bias + distuv.UnitNormal.Quantile(probability)
	return Quantile(sorted, distuv.UnitNormal.CDF(bias+z/(1-acceleration*z)))
}

// jackknife returns the acceleration: a sixth of the skewness of the statistic without one round each.
func jackknife(all []int, statistic func(pick []int) float64) float64 {
	without := make([]float64, 0, len(all))
	for i := range all {
		if v := statistic(slices.Delete(slices.Clone(all), i, i+1)); !math.IsNaN(v) {
			without = append(without, v)
		}
	}
	n, mean := float64(len(without)), stat.Mean(without, nil)
	variance := stat.MomentAbout(2, without, mean, nil)
	if !(variance > 0) {
		return 0
	}
	return -stat.MomentAbout(3, without, mean, nil) / (6 * math.Sqrt(n) * math.Pow(variance, 1.5))
}
