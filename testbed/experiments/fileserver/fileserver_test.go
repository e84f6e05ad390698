package fileserver

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lbctl/testbed/experiment/trialtest"
	"lbctl/testbed/measure"
	"lbctl/testbed/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The experiment as lbctl lab run fileserver runs it, with real forks: what has no noise passes.
func TestFileServer(t *testing.T) {
	out := trialtest.Quick(t, Experiment(), "clients=4")
	for _, c := range slices.Concat(out.Result.Checks, out.Result.Controls) {
		if !c.Pass && c.Estimate == nil {
			t.Errorf("%s: %s", c.Name, c.Detail)
		}
	}
}

// asExpected is made-up evidence of servers that do what they should.
func asExpected() evidence {
	const clients, one = 6, 40 * time.Millisecond
	held := func(answered, children, zombies, next int) Held {
		return Held{Clients: clients, Answered: answered, Children: children, Zombies: zombies, ZombiesNext: next, Before: 9, After: 9, Ended: clients, EndedLast: clients}
	}
	forgot := held(clients, clients, 0, 0)
	forgot.After, forgot.Ended, forgot.CloseWait = 9+clients, 0, clients
	turns := map[string][]Race{}
	for i := range 20 {
		for arm, n := range map[string]int{alone: 1, serialHalf: clients / 2, serialAll: clients, forkedHalf: 1, forkedAll: 1} {
			race := Race{Took: time.Duration(n)*one + time.Duration(i)*time.Millisecond}
			for k := range clients {
				race.First, race.End = append(race.First, time.Duration(k)*time.Millisecond), append(race.End, race.Took)
			}
			turns[arm] = append(turns[arm], race)
		}
	}
	return evidence{clients: clients, nominal: one, races: measure.Recorded(turns), held: map[string]Held{
		serial: held(1, 0, 0, 0), never: held(clients, clients, clients, clients), beforeAccept: held(clients, clients, clients, 0),
		handler: held(clients, clients, 0, 0), ignored: held(clients, clients, 0, 0), forgetful: forgot,
	}}
}

// verdicts demands that exactly the named ones fail.
func verdicts(t *testing.T, name string, list []report.Check, fail ...string) {
	t.Helper()
	for _, c := range list {
		if c.Pass == slices.Contains(fail, c.Name) {
			t.Errorf("%s: %s: pass %v: %v, %s", name, c.Name, c.Pass, c.Measured, c.Detail)
		}
	}
}

// TestChecksFail: each thing that goes wrong fails the checks and controls that are named, and no other.
func TestChecksFail(t *testing.T) {
	e := asExpected()
	verdicts(t, "as expected", slices.Concat(e.checks(), e.controls()))
	for name, test := range map[string]struct {
		server string
		change func(*Held)
		fail   []string
	}{
		"one is not answered":           {handler, func(h *Held) { h.Answered-- }, []string{ServedAtOnce}},
		"one zombie is reaped":          {never, func(h *Held) { h.Zombies-- }, []string{ZombiesStay}},
		"all are, later":                {never, func(h *Held) { h.ZombiesNext = 0 }, []string{ZombiesStay, NobodyWaits}},
		"nothing reaped before accept":  {beforeAccept, func(h *Held) { h.ZombiesNext = h.Zombies }, []string{ReapedByNext}},
		"reaped too early":              {beforeAccept, func(h *Held) { h.Zombies = 0 }, []string{ReapedByNext}},
		"the handler misses one":        {handler, func(h *Held) { h.Zombies = 1 }, []string{ReapedByHandler}},
		"there were no children":        {handler, func(h *Held) { h.Children = 0 }, []string{ReapedByHandler}},
		"the kernel misses one":         {ignored, func(h *Held) { h.ZombiesNext = 1 }, []string{ReapedByKernel}},
		"one descriptor is left":        {handler, func(h *Held) { h.After++ }, []string{DescriptorsConstant}},
		"one sees no end":               {handler, func(h *Held) { h.Ended-- }, []string{EndSeen}},
		"one connection is kept":        {handler, func(h *Held) { h.CloseWait = 1 }, []string{EndSeen}},
		"the serial server answers all": {serial, func(h *Held) { h.Answered = h.Clients }, []string{OneByOne}},
		"ignoring leaves zombies":       {ignored, func(h *Held) { h.Zombies, h.ZombiesNext = h.Clients, h.Clients }, []string{ReapedByKernel, ReapedAnyway}},
		"forgetting does no harm":       {forgetful, func(h *Held) { h.Ended, h.CloseWait = h.Clients, 0 }, []string{ForgottenClose}},
	} {
		e := asExpected()
		h := e.held[test.server]
		test.change(&h)
		e.held[test.server] = h
		verdicts(t, name, slices.Concat(e.checks(), e.controls()), test.fail...)
	}
}

// TestSpeedup: a server that forks and is no faster fails, and a serial one that is faster than itself is noticed.
func TestSpeedup(t *testing.T) {
	e := asExpected()
	turns := map[string][]Race{serialAll: e.races.All(serialAll), forkedAll: e.races.All(serialAll)}
	e.races = measure.Recorded(turns)
	verdicts(t, "no faster", e.checks(), Speedup)
	for i := range turns[serialAll] {
		turns[serialAll][i].Took = time.Duration(1+4*(i%2)) * time.Second
	}
	if c := e.controls(); c[len(c)-1].Pass {
		t.Errorf("%s passed: %v", c[len(c)-1].Name, c[len(c)-1].Measured)
	}
}

// TestReport: made-up evidence is drawn and told.
func TestReport(t *testing.T) {
	e := asExpected()
	if drawn, err := e.figures(); err != nil || len(drawn) != 2 {
		t.Errorf("%d figures, %v", len(drawn), err)
	}
	if row := e.heldTable().Rows[5]; row[0] != forgetful || row[7] != 15 || row[9] != 6 {
		t.Errorf("servers: %v", row)
	}
	if row := e.timeTable().Rows[2]; row[1] != 6 || row[3] != 240.0 {
		t.Errorf("times: %v", row)
	}
}
