package experiment

import (
	"encoding/json"
	"slices"
	"testing"

	"lbctl/testbed/report"
)

// TestJudge: a number is right up to its factor or tolerance beyond the interval, and wrong next to that.
func TestJudge(t *testing.T) {
	at := func(v float64) *float64 { return &v }
	exact := report.Quantity{Value: 10}
	noisy := report.Quantity{Value: json.Number("10"), Low: at(8), High: at(12)}
	for name, tt := range map[string]struct {
		p            Prediction
		q            report.Quantity
		right, wrong []any
	}{
		"exact":           {Prediction{}, exact, []any{10.0}, []any{9.999, 10.001}},
		"interval":        {Prediction{}, noisy, []any{8.0, 12.0}, []any{7.999, 12.001}},
		"tolerance":       {Prediction{Tolerance: 2}, exact, []any{8.0, 12.0}, []any{7.9, 12.1}},
		"factor":          {Prediction{Factor: 2}, noisy, []any{4.0, 24.0}, []any{3.9, 24.1, -10.0}},
		"both":            {Prediction{Factor: 1.1, Tolerance: 5}, exact, []any{5.0, 15.0}, []any{4.9, 15.1}},
		"below zero":      {Prediction{Factor: 2}, report.Quantity{Value: -10}, []any{-20.0, -5.0}, []any{-21.0, -4.0, 10.0}},
		"zero":            {Prediction{Factor: 2}, report.Quantity{Value: 0}, []any{0.0}, []any{0.1}},
		"yes":             {Prediction{Kind: YesNo}, report.Quantity{Value: true}, []any{true}, []any{false}},
		"one-sided":       {Prediction{}, report.Quantity{Value: 10, Low: at(9)}, []any{9.0, 10.0}, []any{8.9, 10.1}},
		"outside its own": {Prediction{}, report.Quantity{Value: 10, Low: at(11), High: at(12)}, []any{10.0, 12.0}, []any{9.9}},
	} {
		for verdict, answers := range map[report.Verdict][]any{report.Pass: tt.right, report.Fail: tt.wrong} {
			for _, answer := range answers {
				if got := tt.p.Judge(answer, tt.q); got.Verdict != verdict {
					t.Errorf("%s: %v is %s, want %s", name, answer, got.Verdict, verdict)
				}
			}
		}
	}
	for name, q := range map[string]report.Quantity{"not measured": {}, "unquiet": {Value: 10.0, Why: "the machine was not quiet"}} {
		if got := (Prediction{}).Judge(10.0, q); got.Verdict != report.Undetermined {
			t.Errorf("%s: %s", name, got.Verdict)
		}
	}
}

// TestUnmeasured: each prediction needs a quantity of its name and kind; what could not be measured will do.
func TestUnmeasured(t *testing.T) {
	declared := []Prediction{{Name: "a"}, {Name: "b", Kind: YesNo}, {Name: "c"}, {Name: "d", Kind: YesNo}, {Name: "e"}}
	got := unmeasured(declared, []report.Quantity{{Name: "a", Value: 1}, {Name: "b", Value: 1}, {Name: "c"}, {Name: "d", Value: false}})
	if want := []string{"quantity b", "quantity e"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
