package report

import (
	"fmt"
	"math"
	"slices"
)

// Result is what an experiment found: report.json, whose shape scripts rely on.
type Result struct {
	Experiment string `json:"experiment"`
	// Problem is the number of the textbook problem that it answers: "5a, 10"; "speed" of a benchmark.
	Problem string `json:"problem"`
	// Question, Claim and Method are the experiment's: one sentence, the textbook's answer, how it was measured.
	Question string `json:"question,omitempty"`
	Claim    string `json:"claim,omitempty"`
	Method   string `json:"method,omitempty"`
	// Headline is the evidence in one sentence of measured figures.
	Headline string `json:"headline,omitempty"`
	// Pass is true when every check passed and every control flipped its check. Verdict, which Write fills in,
	// tells fail and undetermined apart.
	Pass    bool    `json:"pass"`
	Verdict Verdict `json:"verdict"`
	Seed    uint64  `json:"seed"`
	// Seconds is how long the run took, 0 if nobody measured it.
	Seconds     float64        `json:"seconds,omitempty"`
	Environment Environment    `json:"environment"`
	Parameters  map[string]any `json:"parameters"`
	Checks      []Check        `json:"checks"`
	// Controls are arms in which something was broken on purpose: a control passes when
	// the check it names failed there as it must. A result without controls is no experiment but an answer in
	// numbers: its page has no verdict.
	Controls []Check `json:"controls"`
	// Quantities are the figures that runs are compared by, and predictions held against.
	Quantities []Quantity `json:"quantities"`
	// Predictions are those that the run was given, none if it was given none.
	Predictions []Prediction `json:"predictions,omitempty"`
	Tables      []Table      `json:"tables"`
	Figures     []string     `json:"figures"`
}

// Check compares what was measured with what was expected.
type Check struct {
	Name     string `json:"name"`
	Pass     bool   `json:"pass"`
	Measured any    `json:"measured"`
	Expected any    `json:"expected"`
	// Detail is one sentence for a reader: of how many, with which numbers.
	Detail string `json:"detail"`
	// Verdict is Pass or Fail as Pass says, which Write fills in, or Undetermined, where Pass is false.
	Verdict Verdict `json:"verdict"`
	// Estimate is set if what was measured has noise.
	Estimate *Estimate `json:"estimate,omitempty"`
}

// Verdict is what a check answers.
type Verdict string

// Undetermined is the answer of a check on a quantity with noise that could not be measured well enough.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Undetermined Verdict = "undetermined"
)

// Estimate is how well a quantity with noise is known, and by which test. Package measure makes it.
type Estimate struct {
	// Low and High are the interval that the true value is in, nil where it has no end.
	Low  *float64 `json:"low"`
	High *float64 `json:"high"`
	// Test names the method. FalseAlarm is the probability that the true value is below Low, and that it is
	// above High.
	Test       string  `json:"test"`
	FalseAlarm float64 `json:"false_alarm"`
	// Samples is the number of values, Excluded that of rounds that were left out because they were noisy.
	Samples  int `json:"samples"`
	Excluded int `json:"excluded"`
	// Size is what it was measured at: services, replicas, flows, CPUs.
	Size string `json:"size"`
	// Why says what is missing for a verdict, "" if nothing is.
	Why string `json:"why,omitempty"`
}

// Outcome is the check's verdict.
func (c Check) Outcome() Verdict {
	switch {
	case c.Pass:
		return Pass
	case c.Verdict == Undetermined:
		return Undetermined
	}
	return Fail
}

// Passed reports whether every check of all lists passed.
func Passed(lists ...[]Check) bool { return Sum(lists...) == Pass }

// Sum is the verdict of several: Fail if one failed, else Undetermined if one is, else Pass.
func Sum(lists ...[]Check) Verdict {
	all := slices.Concat(lists...)
	for _, v := range []Verdict{Fail, Undetermined} {
		if slices.ContainsFunc(all, func(c Check) bool { return c.Outcome() == v }) {
			return v
		}
	}
	return Pass
}

// Outcome is the verdict of all checks and controls together.
func (r Result) Outcome() Verdict {
	switch {
	case r.Pass:
		return Pass
	case Sum(r.Checks, r.Controls) == Undetermined:
		return Undetermined
	}
	return Fail
}

// Count returns how many checks and controls have a verdict.
func (r Result) Count(v Verdict) (n int) {
	for _, c := range slices.Concat(r.Checks, r.Controls) {
		if c.Outcome() == v {
			n++
		}
	}
	return n
}

// Interval writes the interval for a reader, "" if there is none: "0.961 to 0.984".
func (e *Estimate) Interval() string {
	if e == nil || e.Low == nil && e.High == nil {
		return ""
	}
	switch {
	case e.High == nil:
		return "from " + number(*e.Low)
	case e.Low == nil:
		return "up to " + number(*e.High)
	}
	return number(*e.Low) + " to " + number(*e.High)
}

// Statement says for a reader by which test, from how much and at which size a quantity was judged.
func (e *Estimate) Statement() string {
	s := fmt.Sprintf("By %s of %s samples", e.Test, Cell(e.Samples))
	if e.Excluded > 0 {
		s += fmt.Sprintf(", %s noisy ones left out", Cell(e.Excluded))
	}
	if e.FalseAlarm > 0 {
		s += fmt.Sprintf(", false alarm 1 in %s", number(math.Round(1/e.FalseAlarm)))
	}
	if e.Size != "" {
		s += "; " + e.Size
	}
	return s + "."
}

// Table is a named table of the report.
type Table struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
	Rows    [][]any  `json:"rows"`
}

// Environment is where it ran.
type Environment struct {
	Time    string `json:"time"`
	Host    string `json:"host"`
	Kernel  string `json:"kernel"`
	CPU     string `json:"cpu"`
	CPUs    int    `json:"cpus"`
	Go      string `json:"go"`
	Version string `json:"version"`
	Commit  string `json:"commit"`
	// Rig is how frames came to queues: "softnic". XDP is "native" or "generic".
	Rig string `json:"rig"`
	XDP string `json:"xdp"`
	// Noise is what the machine did beside the experiment, "" if that does not matter: see measure.Describe.
	Noise string `json:"noise,omitempty"`
}
