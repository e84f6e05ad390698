package experiment

import (
	"fmt"
	"math"
	"slices"

	"lbctl/testbed/report"
)

// Kind is what answers a prediction.
type Kind string

// The kinds: a number, which is the zero value, or yes and no.
const (
	Number Kind = ""
	YesNo  Kind = "yes-no"
)

// Prediction is a question that a student answers before the run.
type Prediction struct {
	// Name is also that of the quantity that Conclude enters.
	Name string
	// Question is one sentence. It names what decides the answer, and does not give it away.
	Question string
	Kind     Kind
	// Unit is that of a number: "replicas", "%", "us".
	Unit string
	// Factor and Tolerance are how far a number may be off the measured one, or off its interval if it has one: Factor
	// times as much and as little, and Tolerance more and less, in its unit. Both 0: not at all.
	Factor, Tolerance float64
}

// Rule says what a right number is.
func (p Prediction) Rule() string {
	unit := ""
	if p.Unit != "" {
		unit = " " + p.Unit
	}
	switch {
	case p.Kind == YesNo:
		return ""
	case p.Factor > 1 && p.Tolerance > 0:
		return fmt.Sprintf("within a factor of %s or %s%s", report.Cell(p.Factor), report.Cell(p.Tolerance), unit)
	case p.Factor > 1:
		return "within a factor of " + report.Cell(p.Factor)
	case p.Tolerance > 0:
		return fmt.Sprintf("within %s%s", report.Cell(p.Tolerance), unit)
	}
	return "exactly, or within the interval"
}

// Judge holds an answer, a float64 or a bool, against the quantity that was measured.
func (p Prediction) Judge(answer any, q report.Quantity) report.Prediction {
	out := report.Prediction{Name: p.Name, Question: p.Question, Predicted: answer, Measured: q, Rule: p.Rule(), Verdict: report.Undetermined}
	switch value, number := float(q.Value); {
	case q.Value == nil || q.Why != "":
	case p.Kind == YesNo && answer == q.Value, p.Kind == Number && number && p.near(answer.(float64), value, q):
		out.Verdict = report.Pass
	default:
		out.Verdict = report.Fail
	}
	return out
}

// judge holds the answers against what was measured, in the order of the declaration.
func (t *Trial) judge(measured []report.Quantity) (list []report.Prediction) {
	for _, p := range t.experiment.Predictions {
		answer, answered := t.answers[p.Name]
		for _, q := range measured {
			if answered && q.Name == p.Name {
				list = append(list, p.Judge(answer, q))
			}
		}
	}
	return list
}

// near tells whether a number is near enough to a value or to its interval.
func (p Prediction) near(answer, value float64, q report.Quantity) bool {
	low, high := value, value
	if q.Low != nil {
		low = min(low, *q.Low)
	}
	if q.High != nil {
		high = max(high, *q.High)
	}
	factor := max(p.Factor, 1)
	smaller := func(v float64) float64 { return min(v/factor, v*factor) } // also of what is below 0
	larger := func(v float64) float64 { return max(v/factor, v*factor) }
	return answer >= min(smaller(low), low-p.Tolerance) && answer <= max(larger(high), high+p.Tolerance)
}

// float returns a finite number of any type as float64.
func float(v any) (float64, bool) {
	f, ok := report.Float(v)
	return f, ok && !math.IsNaN(f) && !math.IsInf(f, 0)
}

// unmeasured returns the predictions without a quantity of their name and kind.
func unmeasured(declared []Prediction, measured []report.Quantity) (names []string) {
	for _, p := range declared {
		i := slices.IndexFunc(measured, func(q report.Quantity) bool { return q.Name == p.Name })
		if i < 0 || !p.answers(measured[i].Value) {
			names = append(names, "quantity "+p.Name)
		}
	}
	return names
}

// answers tells whether a value is of the prediction's kind, or was not measured.
func (p Prediction) answers(value any) bool {
	_, number := float(value)
	_, yes := value.(bool)
	return value == nil || number && p.Kind == Number || yes && p.Kind == YesNo
}
