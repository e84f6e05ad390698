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

// Many bands at once hold as often as was asked.
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
