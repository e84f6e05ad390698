package measure

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLatencies(t *testing.T) {
	var a, b Latencies
	for i := range 1000 {
		into := &a
		if i%2 == 1 {
			into = &b
		}
		into.Record(time.Duration(i+1) * time.Millisecond)
	}
	a.Merge(&b)
	if a.Count() != 1000 {
		t.Errorf("%d recorded, want 1000", a.Count())
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		if got := a.Quantile(q); math.Abs(float64(got-want)) > float64(want)/1000 {
			t.Errorf("quantile %v is %v, want %v to 1 in 1,000", q, got, want)
		}
	}
	text, err := json.Marshal(struct{ L *Latencies }{&a})
	if err != nil {
		t.Fatal(err)
	}
	var again struct{ L *Latencies }
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	if again.L.Count() != 1000 || again.L.Quantile(0.9) != a.Quantile(0.9) {
		t.Errorf("came back as %d, p90 %v", again.L.Count(), again.L.Quantile(0.9))
	}
	if err := json.Unmarshal([]byte(`{"L":"none"}`), &again); err == nil {
		t.Error("read from nonsense")
	}
}

// TestLatenciesOutOfRange: what is too long counts, at the end of the range.
func TestLatenciesOutOfRange(t *testing.T) {
	var l Latencies
	if l.Quantile(0.5) != 0 || len(l.Distribution("none", time.Second).Marks) != 0 {
		t.Error("of none")
	}
	l.Record(time.Hour)
	l.Record(-time.Second)
	if l.Count() != 2 || l.Quantile(1) < maxLatency || l.Quantile(1) > maxLatency+maxLatency/500 || l.Quantile(0.5) > minLatency {
		t.Errorf("%d recorded, p50 %v, longest %v", l.Count(), l.Quantile(0.5), l.Quantile(1))
	}
}

func TestLatencyDistribution(t *testing.T) {
	var l Latencies
	for range 3 {
		l.Record(1100 * time.Microsecond)
	}
	l.Record(11 * time.Millisecond)
	d := l.Distribution("direct", time.Millisecond)
	if len(d.Edges) != len(d.Counts)+1 || len(d.Counts) != 21 {
		t.Errorf("%d edges of %d bins, want 21 over a power of ten", len(d.Edges), len(d.Counts))
	}
	if d.Counts[0] != 3 || d.Counts[20] != 1 || d.Edges[0] > 1.1 || d.Edges[1] < 1.1 {
		t.Errorf("%+v", d)
	}
	names := map[string]float64{}
	for _, m := range d.Marks {
		names[m.Name] = Round(m.X, 1)
	}
	if diff := cmp.Diff(map[string]float64{"p50": 1.1, "p99": 11}, names); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
}
