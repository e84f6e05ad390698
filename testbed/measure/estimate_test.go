package measure

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"lbctl/testbed/report"
)

// coverage returns how often the true value was below and above an interval, as shares of simulated samples.
func coverage(runs, n int, truth float64, draw func(*rand.Rand) float64, estimate func(Sample, uint64) Estimate) (below, above float64) {
	random := rand.New(rand.NewPCG(1, 2))
	for run := range runs {
		s := Sample{Values: make([]float64, n)}
		for i := range s.Values {
			s.Values[i] = draw(random)
		}
		e := estimate(s, uint64(run))
		if truth < e.Low {
			below += 1 / float64(runs)
		}
		if truth > e.High {
			above += 1 / float64(runs)
		}
	}
	return below, above
}

// TestIntervalsCover: the share of simulated samples whose interval misses the true value is at most the rate that
// was asked for, and 4 standard errors, on each side; and the intervals are not so wide that they never miss.
func TestIntervalsCover(t *testing.T) {
	exponential := func(r *rand.Rand) float64 { return r.ExpFloat64() }
	normal := func(r *rand.Rand) float64 { return 10 + r.NormFloat64() }
	mean := func(v []float64) float64 { return stat.Mean(v, nil) }
	// Skewed samples are what a bootstrap is worst at: it is allowed half as much again.
	for _, tt := range []struct {
		name     string
		runs, n  int
		rate     float64
		slack    float64
		truth    float64
		draw     func(*rand.Rand) float64
		estimate func(Sample, float64, uint64) Estimate
	}{
		{"median of 15, skewed", 5_000, 15, 0.05, 1, math.Ln2, exponential,
			func(s Sample, rate float64, _ uint64) Estimate { return s.Median(rate) }},
		{"median of 40", 5_000, 40, 0.01, 1, 10, normal,
			func(s Sample, rate float64, _ uint64) Estimate { return s.Median(rate) }},
		{"quantile 0.9 of 100, skewed", 5_000, 100, 0.05, 1, math.Log(10), exponential,
			func(s Sample, rate float64, _ uint64) Estimate { return s.Quantile(0.9, rate) }},
		{"bootstrap of the mean of 20", 600, 20, 0.05, 1, 10, normal,
			func(s Sample, rate float64, seed uint64) Estimate { return s.Bootstrap(mean, rate, seed) }},
		{"bootstrap of the mean of 20, skewed", 600, 20, 0.05, 1.5, 1, exponential,
			func(s Sample, rate float64, seed uint64) Estimate { return s.Bootstrap(mean, rate, seed) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			below, above := coverage(tt.runs, tt.n, tt.truth, tt.draw, func(s Sample, seed uint64) Estimate {
				return tt.estimate(s, tt.rate, seed)
			})
			most := tt.rate*tt.slack + 4*math.Sqrt(tt.rate/float64(tt.runs))
			if below > most || above > most || below+above < tt.rate/5 {
				t.Errorf("true value missed below in %.4f and above in %.4f of %d samples, asked for at most %.4f",
					below, above, tt.runs, tt.rate)
			}
		})
	}
}

// TestProportionCovers sums over all outcomes of 30 trials: the rate is exact.
func TestProportionCovers(t *testing.T) {
	const n, rate = 30, 0.01
	for _, p := range []float64{0.02, 0.25, 0.5, 0.9} {
		below, above := 0.0, 0.0
		for k := range n + 1 {
			e := Proportion(k, n, rate)
			probability := distuv.Binomial{N: n, P: p}.Prob(float64(k))
			if p < e.Low {
				below += probability
			}
			if p > e.High {
				above += probability
			}
		}
		if below > rate || above > rate {
			t.Errorf("p = %v missed below with %.4f and above with %.4f, want at most %v", p, below, above, rate)
		}
	}
	if e := Proportion(0, 10, rate); e.Low != 0 || e.High < 0.3 {
		t.Errorf("0 of 10: %+v", e)
	}
	if e := Proportion(10, 10, rate); e.High != 1 {
		t.Errorf("10 of 10: %+v", e)
	}
}

// TestTooFew: 13 rounds cannot be judged at 1 in 10,000, 14 can, as RoundsFor says.
func TestTooFew(t *testing.T) {
	s := Sample{}
	for i := range 13 {
		s.Values = append(s.Values, 2+float64(i)/100)
	}
	if e := s.Median(FalseAlarm); !math.IsInf(e.Low, -1) || !math.IsInf(e.High, 1) || e.Judge(AtLeast(1)) != report.Undetermined {
		t.Errorf("of 13: %+v, %v", e, e.Judge(AtLeast(1)))
	}
	s.Values = append(s.Values, 3)
	if n := RoundsFor(FalseAlarm); n != len(s.Values) {
		t.Errorf("%d rounds for %v, want %d", n, FalseAlarm, len(s.Values))
	}
	if e := s.Median(FalseAlarm); e.Low != 2 || e.High != 3 || e.Judge(AtLeast(1)) != report.Pass {
		t.Errorf("of 14: %+v, %v", e, e.Judge(AtLeast(1)))
	}
	few := Sample{Values: []float64{1, 2, 3}}
	if e := few.Bootstrap(Median, 0.05, 1); e.Value != 2 || !math.IsInf(e.Low, -1) {
		t.Errorf("a bootstrap of three values has an end: %+v", e)
	}
	if e := (Sample{}).Median(0.05); !math.IsNaN(e.Value) || e.Judge(AtMost(1)) != report.Undetermined {
		t.Errorf("of nothing: %+v", e)
	}
}

// TestBootstrapIsDeterministic: by its seed; and a statistic of pairs, such as a slope, can be resampled.
func TestBootstrapIsDeterministic(t *testing.T) {
	x, y := make([]float64, 40), make([]float64, 40)
	random := rand.New(rand.NewPCG(3, 4))
	for i := range x {
		x[i] = float64(i % 4)
		y[i] = 5 + 2*x[i] + random.NormFloat64()/10
	}
	slope := func(pick []int) float64 {
		var px, py []float64
		for _, i := range pick {
			px, py = append(px, x[i]), append(py, y[i])
		}
		_, beta := stat.LinearRegression(px, py, nil, false)
		return beta
	}
	first := Bootstrap(len(x), slope, 0.001, 7)
	if again := Bootstrap(len(x), slope, 0.001, 7); again != first {
		t.Errorf("%+v, then %+v", first, again)
	}
	if other := Bootstrap(len(x), slope, 0.001, 8); other.Low == first.Low {
		t.Error("another seed gave the same interval")
	}
	if first.Low > 2 || first.High < 2 || first.High-first.Low > 0.2 {
		t.Errorf("slope 2: %+v", first)
	}
	same := Sample{Values: slices.Repeat([]float64{4}, 20)}
	if e := same.Bootstrap(Median, 0.01, 1); e.Low != 4 || e.High != 4 {
		t.Errorf("of equal values: %+v", e)
	}
}

// TestJackknife: of the mean of seven 0 and an 8 it is 336 / (6 * 56^1.5).
func TestJackknife(t *testing.T) {
	values := []float64{0, 0, 0, 0, 0, 0, 0, 8}
	mean := func(pick []int) (sum float64) {
		for _, i := range pick {
			sum += values[i] / float64(len(pick))
		}
		return sum
	}
	if got := jackknife([]int{0, 1, 2, 3, 4, 5, 6, 7}, mean); math.Abs(got-0.13363) > 1e-5 {
		t.Errorf("acceleration %v, want 0.13363", got)
	}
}

func TestQuantile(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3}
	for q, want := range map[float64]float64{0: 1, 0.2: 1, 0.21: 2, 0.5: 3, 0.99: 5, 1: 5} {
		if got := Quantile(values, q); got != want {
			t.Errorf("quantile %v of 1 to 5 is %v, want %v", q, got, want)
		}
	}
	if diff := cmp.Diff([]float64{5, 1, 4, 2, 3}, values); diff != "" {
		t.Errorf("the values were changed (-want +got):\n%s", diff)
	}
	if !math.IsNaN(Quantile(nil, 0.5)) {
		t.Error("nothing has a median")
	}
}

func TestRound(t *testing.T) {
	for _, c := range []struct {
		v        float64
		decimals int
		want     float64
	}{{0.7649, 2, 0.76}, {-1.235, 1, -1.2}, {1234.5, 0, 1235}} {
		if got := Round(c.v, c.decimals); got != c.want {
			t.Errorf("Round(%v, %d) = %v, want %v", c.v, c.decimals, got, c.want)
		}
	}
}
