package sim

import (
	"math"
	"math/bits"
	"time"
)

// The precision of a Histogram: each power of two is cut into 128 buckets of one width.
const (
	precisionBits = 7
	buckets       = (64 - precisionBits) << precisionBits
)

// HistogramError is the greatest relative error of a Histogram's quantiles: 1/128, below 0.8 %.
const HistogramError = 1.0 / (1 << precisionBits)

// Histogram is a distribution of times in bounded memory (57 KiB), whatever their number:
// the log-linear buckets of HdrHistogram (Tene, hdrhistogram.org). Count, mean, least and
// greatest are exact. The zero value is empty. It is not safe for concurrent use.
type Histogram struct {
	counts     [buckets]uint64
	count      uint64
	sum        [2]uint64 // high and low word
	least, top time.Duration
}

// Record adds a time; one below 0 counts as 0.
func (h *Histogram) Record(d time.Duration) {
	v := uint64(max(d, 0))
	h.counts[bucket(v)]++
	if h.count == 0 || d < h.least {
		h.least = time.Duration(v)
	}
	h.top = max(h.top, time.Duration(v))
	h.count++
	var carry uint64
	h.sum[1], carry = bits.Add64(h.sum[1], v, 0)
	h.sum[0] += carry
}

// bucket returns the index of the bucket that holds v. Up to 255 a bucket is one value.
func bucket(v uint64) int {
	shift := max(bits.Len64(v)-precisionBits-1, 0)
	return shift<<precisionBits + int(v>>shift)
}

// bucketTop returns the greatest value of a bucket.
func bucketTop(i int) uint64 {
	shift := max(i>>precisionBits-1, 0)
	return (uint64(i-shift<<precisionBits)+1)<<shift - 1
}

// Add records all that other recorded.
func (h *Histogram) Add(other *Histogram) {
	if other.count == 0 {
		return
	}
	if h.count == 0 || other.least < h.least {
		h.least = other.least
	}
	h.top = max(h.top, other.top)
	h.count += other.count
	var carry uint64
	h.sum[1], carry = bits.Add64(h.sum[1], other.sum[1], 0)
	h.sum[0] += other.sum[0] + carry
	for i, n := range other.counts {
		h.counts[i] += n
	}
}

// Count returns how many times were recorded.
func (h *Histogram) Count() uint64 { return h.count }

// Min returns the least time, 0 of none.
func (h *Histogram) Min() time.Duration { return h.least }

// Max returns the greatest time, 0 of none.
func (h *Histogram) Max() time.Duration { return h.top }

// Mean returns the mean in nanoseconds, 0 of none.
func (h *Histogram) Mean() float64 {
	if h.count == 0 {
		return 0
	}
	return (float64(h.sum[0])*math.Pow(2, 64) + float64(h.sum[1])) / float64(h.count)
}

// Quantile returns a time that at least the share q, 0 to 1, of all times does not exceed:
// the least such time or up to HistogramError of it above. It is 0 of none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := max(uint64(math.Ceil(q*float64(h.count))), 1)
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return min(time.Duration(bucketTop(i)), h.top)
		}
	}
	return h.top
}
