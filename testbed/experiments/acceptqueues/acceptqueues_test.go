package acceptqueues

import (
	"slices"
	"strings"
	"testing"
	"time"

	"lbctl/testbed/experiment/trialtest"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

// good is evidence of which every check and control passes.
func good() evidence {
	e := evidence{threads: 4, cores: 2, calm: map[string]calm{}}
	turns, rounds := map[string][]drained{}, map[string][]loaded{}
	for _, name := range serverNames() {
		e.calm[name] = calm{report: Report{Answered: 100}, wakings: 100}
		for range 20 {
			rounds[name] = append(rounds[name], loaded{Report: Report{Took: time.Second, Answered: 10}})
		}
	}
	e.calm[string(Herd)] = calm{report: Report{Answered: 100}, wakings: 400, empty: 17}
	for _, name := range []string{sharedQueue, ownQueues, alone} {
		for range 20 {
			d := drained{Drained: Drained{Accepted: 10, CPU: time.Second, Took: time.Second}, filled: Report{Answered: 10}}
			if name == sharedQueue {
				d.waits, d.CPU = 1, 2*time.Second
			}
			turns[name] = append(turns[name], d)
		}
	}
	e.drained, e.loaded = measure.Recorded(turns), measure.Recorded(rounds)
	return e
}

// verdicts returns the names of those that did not pass.
func notPassed(e evidence) (names []string) {
	for _, c := range slices.Concat(e.checks(), e.controls()) {
		if !c.Pass {
			names = append(names, c.Name)
		}
	}
	return names
}

// TestChecks: good evidence passes, and each check and control fails on evidence with one thing wrong.
func TestChecks(t *testing.T) {
	woken := func(e *evidence, m string, n int) {
		c := e.calm[m]
		c.wakings = n
		e.calm[m] = c
	}
	for name, tt := range map[string]struct {
		change func(*evidence)
		want   []string
	}{
		"good":                {func(*evidence) {}, nil},
		"blocking wakes two":  {func(e *evidence) { woken(e, string(Blocking), 200) }, []string{BlockingWakesOne}},
		"exclusive wakes all": {func(e *evidence) { woken(e, string(Exclusive), 400) }, []string{ExclusiveWakesOne}},
		"a few more":          {func(e *evidence) { woken(e, string(Exclusive), 110) }, nil},
		"one more than that":  {func(e *evidence) { woken(e, string(Exclusive), 111) }, []string{ExclusiveWakesOne}},
		"own wakes none":      {func(e *evidence) { woken(e, string(Own), 0) }, []string{OwnWakesOne}},
		"herd wakes one":      {func(e *evidence) { woken(e, string(Herd), 100) }, []string{HerdWakesAll}},
		"herd wakes most":     {func(e *evidence) { woken(e, string(Herd), 359) }, []string{HerdWakesAll}},
		"nothing recorded":    {func(e *evidence) { woken(e, string(Herd), 0) }, []string{HerdWakesAll}},
		"the only one in vain": {func(e *evidence) {
			e.calm[alone] = calm{report: Report{Answered: 100}, wakings: 100, empty: 1}
		}, []string{OneThread}},
		"own waits":        {func(e *evidence) { e.drained = changed(e, ownQueues, func(d *drained) { d.waits = 1 }) }, []string{OwnNeverWaits}},
		"alone waits":      {func(e *evidence) { e.drained = changed(e, alone, func(d *drained) { d.waits = 1 }) }, []string{OneThread}},
		"shared waits not": {func(e *evidence) { e.drained = changed(e, sharedQueue, func(d *drained) { d.waits = 0 }) }, []string{SharedWaits}},
		"one left":         {func(e *evidence) { e.drained = changed(e, alone, func(d *drained) { d.Accepted-- }) }, []string{AllAnswered}},
		"not answered": {func(e *evidence) {
			e.calm[string(Own)] = calm{report: Report{Answered: 100, Failed: 1, Why: "timeout"}, wakings: 100}
		}, []string{AllAnswered}},
	} {
		e := good()
		tt.change(&e)
		if got := notPassed(e); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v did not pass, want %v", name, got, tt.want)
		}
	}
}

// changed returns the rounds of the queue with one of an arrangement changed in all rounds.
func changed(e *evidence, name string, change func(*drained)) *measure.Rounds[drained] {
	turns := map[string][]drained{}
	for _, n := range []string{sharedQueue, ownQueues, alone} {
		turns[n] = e.drained.All(n)
	}
	for i := range turns[name] {
		change(&turns[name][i])
	}
	return measure.Recorded(turns)
}

// TestNoTwoThreadsAtATime: where sharing could show nothing the control is undetermined, not failed.
func TestNoTwoThreadsAtATime(t *testing.T) {
	e := good()
	e.drained = changed(&e, sharedQueue, func(d *drained) { d.waits = 0 })
	if got := e.shared().Outcome(); got != report.Undetermined {
		t.Errorf("outcome %v, want undetermined", got)
	}
}

func TestWaitsForListener(t *testing.T) {
	for stack, want := range map[string]bool{
		"schedule __lock_sock lock_sock_nested inet_csk_accept": true,
		"schedule __lock_sock lock_sock_nested tcp_sendmsg":     false,
		"schedule inet_csk_accept":                              false,
	} {
		if got := waitsForListener(strings.Fields(stack)); got != want {
			t.Errorf("%q: %v", stack, got)
		}
	}
}

// TestVerdict: a ratio shows something only if its interval lies on one side of 1.
func TestVerdict(t *testing.T) {
	for want, e := range map[string]measure.Estimate{
		"above 1": {Low: 1.01, High: 2}, "below 1": {Low: 0.5, High: 0.99},
		"undetermined: within the noise":          {Low: 0.9, High: 1.1},
		"undetermined: the machine was not quiet": {Low: 1.5, High: 2, Unquiet: "busy"},
	} {
		if got := verdict(e); got != want {
			t.Errorf("%v to %v: %q, want %q", e.Low, e.High, got, want)
		}
	}
}

// TestAcceptQueues runs all of it with real threads and connections.
func TestAcceptQueues(t *testing.T) {
	out := trialtest.Quick(t, Experiment(), "calm=20", "busy=50", "queued=200")
	if len(out.Result.Tables) != 3 || len(out.Figures) != 1 {
		t.Errorf("%d tables and %d figures", len(out.Result.Tables), len(out.Figures))
	}
}
