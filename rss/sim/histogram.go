package sim

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// HistogramError is the greatest relative error of a Histogram's quantiles: 1/128, below 0.8 %.
const HistogramError = 1.0 / 128

// histogramDigits is the number of significant digits for which HdrHistogram has this error.
const histogramDigits = 2

// Histogram is a distribution of times in bounded memory (57 KiB), whatever their number: an HdrHistogram, and
// beside it the exact mean, least and greatest, which that only has to within its error. It is not safe for
// concurrent use.
type Histogram struct {
	counts     *hdrhistogram.Histogram
	sum        float64 // in nanoseconds
	least, top time.Duration
}

// NewHistogram returns an empty histogram.
func NewHistogram() *Histogram {
	return &Histogram{counts: hdrhistogram.New(1, math.MaxInt64, histogramDigits), least: math.MaxInt64}
}

// Record adds a time; one below 0 counts as 0.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	_ = h.counts.RecordValue(int64(d)) // every time is in range
	h.sum += float64(d)
	h.least, h.top = min(h.least, d), max(h.top, d)
}

// Add records all times of another histogram.
func (h *Histogram) Add(other *Histogram) {
	h.counts.Merge(other.counts)
	h.sum += other.sum
	h.least, h.top = min(h.least, other.least), max(h.top, other.top)
}

// Equal tells whether both have recorded the same times, to within HistogramError of each.
func (h *Histogram) Equal(other *Histogram) bool {
	return h.counts.Equals(other.counts) && h.sum == other.sum && h.least == other.least && h.top == other.top
}

// Count returns the number of times.
func (h *Histogram) Count() uint64 { return uint64(h.counts.TotalCount()) }

// Min returns the least time; 0 if the histogram is empty.
func (h *Histogram) Min() time.Duration {
	if h.Count() == 0 {
		return 0
	}
	return h.least
}

// Max returns the greatest time; 0 if the histogram is empty.
func (h *Histogram) Max() time.Duration { return h.top }

// Mean returns the mean in nanoseconds; 0 if the histogram is empty.
func (h *Histogram) Mean() float64 { return h.sum / math.Max(float64(h.Count()), 1) }

// Quantile returns a time that at least the share q, 0 to 1, of all times do not exceed: the least such time, or up to
// HistogramError more. It is 0 if the histogram is empty.
func (h *Histogram) Quantile(q float64) time.Duration {
	n := float64(max(h.Count(), 1))
	rank := max(math.Ceil(q*n), 1) // HdrHistogram would round to the nearest
	return min(time.Duration(h.counts.ValueAtPercentile(100*rank/n)), h.top)
}
