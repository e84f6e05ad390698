package measure

import (
	"fmt"
	"math"

	"lbctl/testbed/report"
)

// Bound is what a quantity must lie within, its ends included.
type Bound struct{ Low, High float64 }

// AtLeast is from v up.
func AtLeast(v float64) Bound { return Bound{v, math.Inf(1)} }

// AtMost is up to v.
func AtMost(v float64) Bound { return Bound{math.Inf(-1), v} }

// Within is from low to high.
func Within(low, high float64) Bound { return Bound{low, high} }

// String writes it as reports do: ">= 0.95".
func (b Bound) String() string {
	switch {
	case math.IsInf(b.High, 1):
		return ">= " + report.Cell(b.Low)
	case math.IsInf(b.Low, -1):
		return "<= " + report.Cell(b.High)
	}
	return report.Cell(b.Low) + " to " + report.Cell(b.High)
}

// Judge holds an estimate against a bound. Undetermined: the machine was not quiet, or the interval holds values
// on both sides of the bound.
func (e Estimate) Judge(want Bound) report.Verdict {
	switch {
	case e.Unquiet != "" || math.IsNaN(e.Value):
		return report.Undetermined
	case e.Low >= want.Low && e.High <= want.High:
		return report.Pass
	case e.High < want.Low || e.Low > want.High:
		return report.Fail
	}
	return report.Undetermined
}

// Claim is a statement about a quantity.
type Claim struct {
	// Name is that of the check: "connections-of-direct".
	Name string
	Want Bound
	// Size is what it was measured at: services, replicas, flows, CPUs.
	Size string
	// Detail is one sentence for a reader: what was measured.
	Detail string
}

// Check judges an estimate.
func (c Claim) Check(e Estimate) report.Check {
	return c.check(e, e.Judge(c.Want), c.Want.String())
}

// Control judges the estimate of an arm in which something was broken on purpose: it passes if the claim fails
// there.
func (c Claim) Control(e Estimate) report.Check {
	verdict := e.Judge(c.Want)
	switch verdict {
	case report.Pass:
		verdict = report.Fail
	case report.Fail:
		verdict = report.Pass
	}
	return c.check(e, verdict, "not "+c.Want.String())
}

func (c Claim) check(e Estimate, verdict report.Verdict, expected string) report.Check {
	check := report.Check{
		Name: c.Name, Verdict: verdict, Pass: verdict == report.Pass, Expected: expected, Detail: c.Detail,
		Estimate: &report.Estimate{
			Low: finite(e.Low), High: finite(e.High), Test: e.Test, FalseAlarm: e.FalseAlarm,
			Samples: e.Samples, Excluded: e.Excluded, Size: c.Size,
		},
	}
	if value := finite(e.Value); value != nil {
		check.Measured = *value
	}
	if verdict == report.Undetermined {
		check.Estimate.Why = e.why()
	}
	return check
}

// why says what is missing for a verdict.
func (e Estimate) why() string {
	switch {
	case e.Unquiet != "":
		return e.Unquiet
	case e.Samples == 0:
		return "nothing was measured"
	}
	return fmt.Sprintf("the interval of %d samples holds values on both sides of the bound", e.Samples)
}

// finite returns nil of what JSON has no number for.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
