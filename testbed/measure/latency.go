package measure

import (
	"fmt"
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"lbctl/testbed/report"
)

// The range of Latencies, and their precision in significant digits.
const (
	minLatency, maxLatency = 100 * time.Nanosecond, time.Minute
	latencyDigits          = 3
)

// Latencies is how long many things took, in bounded memory: an HdrHistogram that is exact to 1 in 1,000 from 100 ns
// to a minute; what took longer counts as a minute. It is not safe for concurrent use: each goroutine records into
// its own, and these are merged at the end. The zero value is empty; it is not to be copied. As text, in JSON, it is
// the histogram's V2 encoding in base64.
type Latencies struct{ h *hdrhistogram.Histogram }

// histogram makes it where it is not there yet.
func (l *Latencies) histogram() *hdrhistogram.Histogram {
	if l.h == nil {
		l.h = hdrhistogram.New(int64(minLatency), int64(maxLatency), latencyDigits)
	}
	return l.h
}

// Record adds a time.
func (l *Latencies) Record(d time.Duration) {
	_ = l.histogram().RecordValue(int64(min(max(d, 0), maxLatency))) // which is in range
}

// Merge adds all that other recorded.
func (l *Latencies) Merge(other *Latencies) { l.histogram().Merge(other.histogram()) }

// Count returns how many times were recorded.
func (l *Latencies) Count() int { return int(l.histogram().TotalCount()) }

// Quantile returns the time that a share q, 0 to 1, of all does not exceed; 0 of none.
func (l *Latencies) Quantile(q float64) time.Duration {
	return time.Duration(l.histogram().ValueAtPercentile(100 * q))
}

// Distribution returns it for report.Histogram, in units of unit: 20 bins for each power of ten, and p50 and p99
// marked.
func (l *Latencies) Distribution(name string, unit time.Duration) report.Distribution {
	const perDecade = 20
	d := report.Distribution{Name: name, Edges: []float64{1, 1.1}, Counts: []float64{0}}
	if l.Count() == 0 {
		return d
	}
	bin := func(v int64) int { return int(math.Floor(perDecade * math.Log10(float64(max(v, 1))))) }
	edge := func(bin int) float64 { return math.Pow(10, float64(bin)/perDecade) / float64(unit) }
	first, last := bin(l.h.Min()), bin(l.h.Max())
	d.Edges, d.Counts = []float64{edge(first)}, make([]float64, last-first+1)
	for i := first; i <= last; i++ {
		d.Edges = append(d.Edges, edge(i+1))
	}
	for _, b := range l.h.Distribution() {
		if b.Count > 0 {
			d.Counts[min(max(bin(b.From), first), last)-first] += float64(b.Count)
		}
	}
	at := func(q float64) float64 { return float64(l.Quantile(q)) / float64(unit) }
	d.Marks = []report.Mark{{Name: "p50", X: at(0.5)}, {Name: "p99", X: at(0.99)}}
	return d
}

// MarshalText implements encoding.TextMarshaler.
func (l *Latencies) MarshalText() ([]byte, error) {
	text, err := l.histogram().Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("encode latencies: %w", err)
	}
	return text, nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Latencies) UnmarshalText(text []byte) (err error) {
	if l.h, err = hdrhistogram.Decode(text); err != nil {
		return fmt.Errorf("decode latencies: %w", err)
	}
	return nil
}
