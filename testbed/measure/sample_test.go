package measure

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

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

// TestPaired: a round that was bad for both does not count, as it would for a ratio of medians.
func TestPaired(t *testing.T) {
	a, b := []float64{9, 90, 900}, []float64{10, 100, 1000}
	if got := Paired(a, b, Ratio); got != 0.9 {
		t.Errorf("ratio %v, want 0.9", got)
	}
	if got := Paired([]float64{5, 7}, []float64{1, 2, 3}, Difference); got != 4 {
		t.Errorf("difference %v, want 4", got)
	}
	if !math.IsNaN(Paired(a, nil, Ratio)) {
		t.Error("nothing was paired with something")
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
