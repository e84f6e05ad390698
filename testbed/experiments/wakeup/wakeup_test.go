package wakeup

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lbctl/testbed/experiment/trialtest"
	"lbctl/testbed/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The experiment as lbctl lab run wakeup runs it, on a real event loop: what has no noise passes.
func TestWakeup(t *testing.T) {
	out := trialtest.Quick(t, Experiment())
	for _, c := range slices.Concat(out.Result.Checks, out.Result.Controls) {
		if !c.Pass && c.Estimate == nil {
			t.Errorf("%s: %s", c.Name, c.Detail)
		}
	}
}

// made is made-up evidence: delay draws one, by the notice and by what is expected of its mean, in seconds.
func made(delay func(n Notice, unit float64, r *rand.Rand) float64) evidence {
	e := evidence{lone: map[Notice][]lone{}, timeout: 10 * time.Millisecond, seed: 1, falseAlarm: 1e-3}
	e.stations = (&design{timeout: e.timeout}).plan()
	random := rand.New(rand.NewPCG(1, 1))
	for range 30 {
		this := round{answers: map[*station][]Answer{}}
		for _, s := range e.stations {
			for range s.requests {
				this.answers[s] = append(this.answers[s], Answer{Sent: int64(1e9 * delay(s.Notice, e.unit(s), random)), Cause: causeEvent})
			}
		}
		e.rounds = append(e.rounds, this)
	}
	for _, n := range notices {
		a := Answer{Asked: 1, Done: 5e6, Sent: 6e6, Got: 7e6}
		if n == None {
			a.Stimulus, a.Sent, a.Got = 50e6, 51e6, 52e6
		}
		e.lone[n] = []lone{{50 * time.Millisecond, a}}
	}
	return e
}

// asExpected are the delays of the theory.
func asExpected(n Notice, unit float64, r *rand.Rand) float64 {
	switch n {
	case None:
		return unit * r.ExpFloat64()
	case Timeout:
		return unit * 2 * r.Float64()
	}
	return 1e-4
}

// verdicts holds the checks against those that must not pass, and returns nothing else.
func verdicts(t *testing.T, name string, list []report.Check, want report.Verdict, not ...string) {
	t.Helper()
	for _, c := range list {
		expected := report.Pass
		if slices.Contains(not, c.Name) {
			expected = want
		}
		if c.Outcome() != expected {
			t.Errorf("%s: %s is %s, want %s: %v, %s", name, c.Name, c.Outcome(), expected, c.Measured, c.Detail)
		}
	}
}

// TestChecksFail: each thing that goes wrong fails the checks that are named, and no other.
func TestChecksFail(t *testing.T) {
	good := made(asExpected)
	verdicts(t, "as expected", append(good.checks(), good.controls()...), report.Fail)

	answered := made(asExpected)
	answered.lone[None][0].Sent = 6e6
	verdicts(t, "answered in silence", answered.checks(), report.Fail, NeverWithoutEvent)

	forgotten := made(asExpected)
	forgotten.lone[EventFD][0].Stimulus = 50e6
	forgotten.lone[SocketPair][0].Stimulus = 50e6
	verdicts(t, "notices lost", forgotten.checks(), report.Fail, EventFDAnswers, SocketPairAnswers)

	byItself := made(asExpected)
	byItself.rounds[3].answers[byItself.stations[0]][1].Cause = causeTimeout
	verdicts(t, "woken by itself", byItself.checks(), report.Fail, FreedByAnEvent)

	constant := made(func(n Notice, unit float64, r *rand.Rand) float64 {
		if n == None {
			return 0.002 // milliseconds, whatever the rate
		}
		return asExpected(n, unit, r)
	})
	verdicts(t, "a delay that does not depend on the rate", constant.checks(), report.Fail, DelayWhenSlow, DelayWhenFast, Memoryless)

	uniform := made(func(n Notice, unit float64, r *rand.Rand) float64 {
		if n == None {
			return 2 * unit * r.Float64()
		}
		return asExpected(n, unit, r)
	})
	verdicts(t, "uniform delays", uniform.checks(), report.Fail, Memoryless)

	late := made(func(n Notice, unit float64, r *rand.Rand) float64 {
		if n == Timeout {
			return 2 * asExpected(n, unit, r)
		}
		return asExpected(n, unit, r)
	})
	verdicts(t, "twice the timeout", late.checks(), report.Fail, TimeoutDelay)

	slow := made(func(_ Notice, unit float64, r *rand.Rand) float64 { return asExpected(None, unit, r) })
	verdicts(t, "nothing cures", slow.checks(), report.Fail, EventFDDelay, SocketPairDelay)
	verdicts(t, "nothing cures", slow.controls(), report.Fail, NoticeUnderLoad, UniformDelay)
}

// TestControlsNotice: the controls of silence fail if a notice makes no difference.
func TestControlsNotice(t *testing.T) {
	e := made(asExpected)
	e.lone[EventFD], e.lone[None] = e.lone[None], e.lone[EventFD]
	verdicts(t, "swapped", e.controls(), report.Fail, WithNotice, WithoutNotice)
}

// TestLateMachine: rounds in which threads ran late are left out, and too many of them leave the noisy checks open.
func TestLateMachine(t *testing.T) {
	e := made(asExpected)
	for i := range e.rounds[:3] {
		e.rounds[i].late = 2 * onTime
	}
	if s := e.sample(func(round) float64 { return 1 }); s.Excluded != 3 || len(s.Values) != 27 || s.Unquiet != "" {
		t.Errorf("a few late rounds: %+v", s)
	}
	for i := range e.rounds[:10] {
		e.rounds[i].late = 2 * onTime
	}
	verdicts(t, "late", e.checks(), report.Undetermined, DelayWhenSlow, DelayWhenFast, Memoryless, EventFDDelay, SocketPairDelay, TimeoutDelay)
}

// TestReport: made-up evidence is drawn and told.
func TestReport(t *testing.T) {
	e := made(asExpected)
	if drawn, err := e.figures(); err != nil || len(drawn) != 3 {
		t.Errorf("%d figures, %v", len(drawn), err)
	}
	if rows := e.loneTable().Rows; len(rows) != 4 || rows[0][4] != 50.0 || rows[2][4] != "not needed" {
		t.Errorf("lone requests: %v", rows)
	}
	if rows := e.delayTable().Rows; len(rows) != len(e.stations) || rows[0][1] != rates[0] {
		t.Errorf("delays: %v", rows)
	}
}
