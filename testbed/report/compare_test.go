package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// measured is a report with a quantity of each kind.
func measured(seed uint64, low, high float64, count int, yes bool, verdict Verdict) Result {
	middle := (low + high) / 2
	return Result{
		Experiment: "spread", Seed: seed, Environment: Environment{Kernel: "Linux 6.18"}, Parameters: map[string]any{"replicas": 4},
		Checks: []Check{
			{Name: "kept", Pass: verdict == Pass, Verdict: verdict, Measured: count},
			{Name: "rate", Pass: true, Measured: middle, Estimate: &Estimate{Low: &low, High: &high, Samples: 20}},
		},
		Controls:   []Check{{Name: "spray", Pass: true, Measured: 400}},
		Quantities: []Quantity{{Name: "cost", Value: middle, Unit: "ns", Low: &low, High: &high, Samples: 20}, {Name: "same", Value: yes}},
	}
}

// noises are the verdicts on the figures, by name.
func noises(d Difference) map[string]Noise {
	all := map[string]Noise{}
	for _, f := range d.Figures {
		all[f.Name] = f.Noise
	}
	return all
}

// TestCompare: intervals that touch are noise, those apart are not; a count without an interval is not known; an answer is
// another one.
func TestCompare(t *testing.T) {
	a := measured(1, 10, 12, 3, true, Pass)
	for name, tt := range map[string]struct {
		b       Result
		want    map[string]Noise
		differs bool
	}{
		"the same": {measured(1, 10, 12, 3, true, Pass), map[string]Noise{"cost": Equal, "same": Equal, "kept": Equal, "rate": Equal, "control spray": Equal}, false},
		"touching": {measured(1, 12, 14, 3, true, Pass), map[string]Noise{"cost": Within, "same": Equal, "kept": Equal, "rate": Within, "control spray": Equal}, false},
		"apart":    {measured(1, 12.01, 14, 3, true, Pass), map[string]Noise{"cost": Real, "same": Equal, "kept": Equal, "rate": Real, "control spray": Equal}, true},
		"below":    {measured(1, 8, 9.99, 3, true, Pass), map[string]Noise{"cost": Real, "same": Equal, "kept": Equal, "rate": Real, "control spray": Equal}, true},
		"counts":   {measured(1, 10, 12, 4, true, Pass), map[string]Noise{"cost": Equal, "same": Equal, "kept": Unknown, "rate": Equal, "control spray": Equal}, false},
		"answer":   {measured(1, 10, 12, 3, false, Pass), map[string]Noise{"cost": Equal, "same": Real, "kept": Equal, "rate": Equal, "control spray": Equal}, true},
		"verdict":  {measured(1, 10, 12, 3, true, Fail), map[string]Noise{"cost": Equal, "same": Equal, "kept": Equal, "rate": Equal, "control spray": Equal}, true},
	} {
		d := Compare(a, tt.b)
		if diff := cmp.Diff(tt.want, noises(d)); diff != "" || d.Differs() != tt.differs {
			t.Errorf("%s: differs %v, want %v; figures (-want +got):\n%s", name, d.Differs(), tt.differs, diff)
		}
	}
	b := measured(2, 10, 12, 3, true, Undetermined)
	b.Parameters = map[string]any{"replicas": 5, "queues": 4}
	b.Environment.Kernel = "Linux 6.1"
	d := Compare(a, b)
	want := Difference{
		Experiment: "spread", Figures: d.Figures,
		Parameters:  []Change{{"queues", "", "4"}, {"replicas", "4", "5"}, {"seed", "1", "2"}},
		Environment: []Change{{"kernel", "Linux 6.18", "Linux 6.1"}},
		Verdicts:    []Change{{"kept", "pass", "undetermined"}},
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
