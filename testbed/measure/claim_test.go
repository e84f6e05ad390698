package measure

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"lbctl/testbed/report"
)

// around is a sample of n values near v.
func around(v float64, n int) (s Sample) {
	for i := range n {
		s.Values = append(s.Values, v+float64(i-n/2)/1000)
	}
	return s
}

// TestClaim: one that is seen to pass, to fail, and to be undetermined for each of its causes; its control is the
// opposite, but undetermined with it.
func TestClaim(t *testing.T) {
	unquiet := around(1, 20)
	unquiet.Unquiet = "the machine was not quiet"
	claim := Claim{Name: "of-direct", Want: AtLeast(0.95), Size: "4 replicas", Detail: "A ratio."}
	for name, tt := range map[string]struct {
		sample         Sample
		check, control report.Verdict
		why            string
	}{
		"above":     {around(1, 20), report.Pass, report.Fail, ""},
		"below":     {around(0.9, 20), report.Fail, report.Pass, ""},
		"straddles": {around(0.95, 20), report.Undetermined, report.Undetermined, "both sides"},
		"too few":   {around(1, 5), report.Undetermined, report.Undetermined, "5 samples"},
		"nothing":   {Sample{}, report.Undetermined, report.Undetermined, "nothing was measured"},
		"unquiet":   {unquiet, report.Undetermined, report.Undetermined, "not quiet"},
	} {
		t.Run(name, func(t *testing.T) {
			e := tt.sample.Median(FalseAlarm)
			check, control := claim.Check(e), claim.Control(e)
			if check.Verdict != tt.check || control.Verdict != tt.control {
				t.Errorf("check %s, control %s; want %s, %s", check.Verdict, control.Verdict, tt.check, tt.control)
			}
			for _, c := range []report.Check{check, control} {
				if c.Pass != (c.Verdict == report.Pass) || c.Outcome() != c.Verdict {
					t.Errorf("%s with pass %v", c.Verdict, c.Pass)
				}
				if !strings.Contains(c.Estimate.Why, tt.why) || (tt.why == "") != (c.Estimate.Why == "") {
					t.Errorf("why %q, want %q", c.Estimate.Why, tt.why)
				}
				if _, err := json.Marshal(c); err != nil {
					t.Error(err)
				}
			}
			if check.Expected != ">= 0.95" || control.Expected != "not >= 0.95" || check.Estimate.Size != "4 replicas" || check.Estimate.Test != "sign test" {
				t.Errorf("%+v, %+v", check, control)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	inside := Estimate{Value: 2, Low: 1, High: 3}
	for want, verdict := range map[Bound]report.Verdict{
		AtMost(3): report.Pass, AtMost(2): report.Undetermined, AtMost(0.5): report.Fail,
		Within(0, 4): report.Pass, Within(2, 4): report.Undetermined, Within(3.5, 4): report.Fail, Within(0, 0.5): report.Fail,
	} {
		if got := inside.Judge(want); got != verdict {
			t.Errorf("%v: %s, want %s", want, got, verdict)
		}
	}
	if got := Within(0.5, 1000).String() + AtMost(2).String(); got != "0.5 to 1,000<= 2" {
		t.Error(got)
	}
	if finite(math.Inf(1)) != nil || finite(math.NaN()) != nil || *finite(2) != 2 {
		t.Error("finite")
	}
}
