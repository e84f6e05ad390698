package balance

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The binomial distribution, by summing its terms.
func pmf(n int, p float64) []float64 {
	terms := make([]float64, n+1)
	for k := range terms {
		a, _ := math.Lgamma(float64(n + 1))
		b, _ := math.Lgamma(float64(k + 1))
		c, _ := math.Lgamma(float64(n - k + 1))
		terms[k] = math.Exp(a - b - c + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
	}
	return terms
}

func TestShareBandsAreTheNarrowestThatHold(t *testing.T) {
	for _, n := range []int{1, 2, 10, 64, 1000, 4000} {
		for _, share := range []float64{0.001, 0.25, 0.5, 0.9} {
			for _, level := range []float64{0.5, 0.95, 0.999} {
				bands, err := ShareBands(n, []float64{share, 1 - share}, level)
				if err != nil {
					t.Fatal(err)
				}
				band, tail := bands[0], (1-level)/2
				below, above := 0.0, 0.0
				terms := pmf(n, share)
				for k, p := range terms {
					if k < band.Low {
						below += p
					}
					if k > band.High {
						above += p
					}
				}
				if below > tail+1e-9 || above > tail+1e-9 {
					t.Errorf("n %d share %v level %v: band %v leaves %v below, %v above", n, share, level, band, below, above)
				}
				if below+terms[band.Low] < tail-1e-9 || above+terms[band.High] < tail-1e-9 {
					t.Errorf("n %d share %v level %v: band %v could be narrower", n, share, level, band)
				}
			}
		}
	}
}

func TestShareBands(t *testing.T) {
	// Tables of the binomial distribution: of 100 tosses 40 to 60 heads in 95 %.
	got, err := ShareBands(100, []float64{1, 1, 0}, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Band{{40, 60}, {40, 60}, {0, 0}}, got); diff != "" {
		t.Errorf("ShareBands (-want +got):\n%s", diff)
	}
	if got, _ := ShareBands(9, []float64{3}, 0.95); got[0] != (Band{9, 9}) {
		t.Errorf("band of the only place = %v, want all 9", got)
	}
	for _, level := range []float64{0, 1, -1, 2, math.NaN()} {
		if _, err := ShareBands(9, Equal(2), level); err == nil {
			t.Errorf("level %v: want an error", level)
		}
	}
	if _, err := ShareBands(0, Equal(2), 0.95); err == nil {
		t.Error("of nothing: want an error")
	}
}

// Simultaneous bands hold with the requested probability.
func TestSimultaneousAndImbalanceBound(t *testing.T) {
	const seed, runs, n, places = 1, 2000, 1000, 16
	random := rand.New(rand.NewPCG(seed, seed))
	bands, err := ShareBands(n, Equal(places), Simultaneous(0.95, places))
	if err != nil {
		t.Fatal(err)
	}
	bound, err := ImbalanceBound(n, Equal(places), 0.95)
	if err != nil {
		t.Fatal(err)
	}
	outside, above := 0, 0
	for range runs {
		counts := make([]int, places)
		for range n {
			counts[random.IntN(places)]++
		}
		for i, band := range bands {
			if !band.Contains(counts[i]) {
				outside++
				break
			}
		}
		if ratio, _ := Imbalance(counts, Equal(places)); ratio > bound {
			above++
		}
	}
	if outside > runs/20 || outside == 0 {
		t.Errorf("seed %d: %d of %d runs outside, want 1 to %d", seed, outside, runs, runs/20)
	}
	if above > runs/20 || above == 0 {
		t.Errorf("seed %d: %d of %d runs above the bound %v, want 1 to %d", seed, above, runs, bound, runs/20)
	}
}

func TestChiSquare(t *testing.T) {
	for _, c := range []struct {
		name     string
		observed []int
		weights  []float64
		want     Fit
	}{
		// Critical values of the 5 % column of any table: 1 degree 3.841, 3 degrees 7.815.
		{"even", []int{25, 25, 25, 25}, Equal(4), Fit{0, 3, 1, 25}},
		{"one degree", []int{60, 40}, Equal(2), Fit{4, 1, 0.0455003, 50}},
		// Mendel's peas, 9:3:3:1, as in many textbooks: statistic 0.470, P 0.925.
		{"mendel", []int{315, 108, 101, 32}, []float64{9, 3, 3, 1}, Fit{0.470024, 3, 0.925426, 34.75}},
		{"a place without weight", []int{30, 0, 30}, []float64{1, 0, 1}, Fit{0, 1, 1, 30}},
		{"a count without weight", []int{30, 1, 29}, []float64{1, 0, 1}, Fit{math.Inf(1), 1, 0, 30}},
		{"one place", []int{7}, Equal(1), Fit{0, 0, 1, 7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ChiSquare(c.observed, c.weights)
			if err != nil {
				t.Fatal(err)
			}
			if !near(got.Statistic, c.want.Statistic) || !near(got.P, c.want.P) ||
				got.Degrees != c.want.Degrees || !near(got.LeastExpected, c.want.LeastExpected) {
				t.Errorf("ChiSquare = %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		counts  []int
		weights []float64
	}{
		{"nothing", nil, nil},
		{"all zero", []int{0, 0}, Equal(2)},
		{"a negative count", []int{-1, 2}, Equal(2)},
		{"too few weights", []int{1, 2}, Equal(1)},
		{"a negative weight", []int{1, 2}, []float64{-1, 2}},
		{"weights of zero", []int{1, 2}, []float64{0, 0}},
		{"no number", []int{1, 2}, []float64{math.NaN(), 1}},
		{"infinite", []int{1, 2}, []float64{math.Inf(1), 1}},
		{"infinite sum", []int{1, 2}, []float64{math.MaxFloat64, math.MaxFloat64}},
	} {
		if fit, err := ChiSquare(c.counts, c.weights); err == nil {
			t.Errorf("%s: ChiSquare = %+v, want an error", c.name, fit)
		}
		if ratio, err := Imbalance(c.counts, c.weights); err == nil {
			t.Errorf("%s: Imbalance = %v, want an error", c.name, ratio)
		}
	}
}

func TestImbalance(t *testing.T) {
	for _, c := range []struct {
		counts  []int
		weights []float64
		want    float64
	}{
		{[]int{5, 5, 5}, Equal(3), 1},
		{[]int{10, 5, 0}, Equal(3), 2},
		{[]int{30, 10}, []float64{3, 1}, 1},
		{[]int{20, 20}, []float64{3, 1}, 2},
		{[]int{1, 1}, []float64{1, 0}, math.Inf(1)},
		{[]int{1, 0}, []float64{1, 0}, 1},
	} {
		if got, err := Imbalance(c.counts, c.weights); !near(got, c.want) || err != nil {
			t.Errorf("Imbalance(%v, %v) = %v, %v; want %v", c.counts, c.weights, got, err, c.want)
		}
	}
}

func TestJain(t *testing.T) {
	for _, c := range []struct {
		counts []int
		want   float64
	}{{[]int{4, 4, 4, 4}, 1}, {[]int{9, 0, 0}, 1. / 3}, {[]int{1, 3}, 0.8}} {
		if got := Jain(c.counts); !near(got, c.want) {
			t.Errorf("Jain(%v) = %v, want %v", c.counts, got, c.want)
		}
	}
	if got := Jain([]int{0, 0}); !math.IsNaN(got) {
		t.Errorf("Jain of zeros = %v, want NaN", got)
	}
}

// near is equality to six digits.
func near(a, b float64) bool {
	return a == b || math.Abs(a-b) <= 1e-6*max(1, math.Abs(b))
}
