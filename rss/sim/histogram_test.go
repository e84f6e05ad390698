package sim_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"lbctl/rss/sim"
)

// TestHistogram compares with the sorted times.
func TestHistogram(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(rapid.Int64Range(0, 1<<rapid.IntRange(0, 62).Draw(t, "bits")).Draw(t, "time"))
		})
		times := rapid.SliceOfN(sizes, 1, 200).Draw(t, "times")
		h, first, second := sim.NewHistogram(), sim.NewHistogram(), sim.NewHistogram()
		cut := rapid.IntRange(0, len(times)).Draw(t, "cut")
		sum := 0.0
		for i, d := range times {
			sum += float64(d)
			if h.Record(d); i < cut {
				first.Record(d)
			} else {
				second.Record(d)
			}
		}
		first.Add(second)
		for _, d := range append(times, 0) {
			share := float64(d%101) / 100
			if first.Quantile(share) != h.Quantile(share) {
				t.Fatalf("two parts do not add up to the whole: quantile %g is %v, want %v", share, first.Quantile(share), h.Quantile(share))
			}
		}
		if first.Count() != h.Count() || first.Min() != h.Min() || first.Max() != h.Max() || math.Abs(first.Mean()-h.Mean()) > 1e-9*h.Mean() {
			t.Fatalf("two parts do not add up to the whole: %+v, want %+v", first, h)
		}
		slices.Sort(times)
		if h.Min() != times[0] || h.Max() != times[len(times)-1] || h.Count() != uint64(len(times)) {
			t.Fatalf("%d times from %v to %v", h.Count(), h.Min(), h.Max())
		}
		if mean := sum / float64(len(times)); math.Abs(h.Mean()-mean) > 1e-9*mean {
			t.Fatalf("mean %g, want %g", h.Mean(), mean)
		}
		q := rapid.Float64Range(0, 1).Draw(t, "quantile")
		exact := times[max(int(math.Ceil(q*float64(len(times)))), 1)-1]
		if got := h.Quantile(q); got < exact || float64(got) > float64(exact)*(1+sim.HistogramError) {
			t.Fatalf("quantile %g is %d, want %d", q, got, exact)
		}
	})
}

// TestHistogramEdges: no times, and the greatest ones.
func TestHistogramEdges(t *testing.T) {
	h := sim.NewHistogram()
	if h.Mean() != 0 || h.Quantile(0.5) != 0 || h.Min() != 0 || h.Max() != 0 {
		t.Errorf("of none: %v, %v, %v, %v", h.Mean(), h.Quantile(0.5), h.Min(), h.Max())
	}
	for range 4 {
		h.Record(math.MaxInt64)
	}
	if h.Mean() != math.MaxInt64 || h.Quantile(0) != math.MaxInt64 {
		t.Errorf("of the greatest: mean %g, quantile %v", h.Mean(), h.Quantile(0))
	}
	h.Record(-1)
	if h.Min() != 0 {
		t.Errorf("a time below 0 counts as %v", h.Min())
	}
}
