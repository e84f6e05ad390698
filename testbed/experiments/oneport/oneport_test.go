package oneport

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"lbctl/testbed/experiment/trialtest"
	"lbctl/testbed/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The experiment as lbctl lab run one-port runs it, with real processes.
func TestOnePort(t *testing.T) {
	out := trialtest.Quick(t, Experiment(), "processes=3", "connections=200")
	if !out.Result.Pass {
		t.Error("nothing here depends on how busy the machine is: want all passed")
	}
}

// made is a result of four processes of which number 2 is blocked until second 10: every nth new connection waits for it,
// none with 0.
func made(d Design, n int) *Result {
	r := &Result{Design: d, Processes: []int{1, 2, 3, 4, 5}, Blocked: 2, Released: 10 * time.Second, Owner: []int{2}}
	add := func(to *[]Answer, process int, waits bool) {
		a := Answer{Process: process, Asked: time.Second, Answered: 2 * time.Second, Got: 3 * time.Second}
		if waits {
			a.Answered, a.Got = r.Released, 11*time.Second
		}
		*to = append(*to, a)
	}
	for i := range 400 {
		add(&r.Free, 2+i%4, false)
		if n > 0 && i%n == 0 {
			add(&r.Busy, 2, true)
		} else {
			add(&r.Busy, 3+i%3, false)
		}
	}
	for i := range 8 {
		r.Owner = append(r.Owner, 2+i%4)
		add(&r.Kept, 2+i%4, d != Workers && i%4 == 0)
	}
	return r
}

func asExpected() map[Design]*Result {
	return map[Design]*Result{Shared: made(Shared, 0), Passed: made(Passed, 0), Workers: made(Workers, 0), ReusePort: made(ReusePort, 4), InTurn: made(InTurn, 4)}
}

// verdicts demands that exactly the named ones fail.
func verdicts(t *testing.T, name string, list []report.Check, fail ...string) {
	t.Helper()
	for _, c := range list {
		if c.Pass == slices.Contains(fail, c.Name) {
			t.Errorf("%s: %s: pass %v: %s", name, c.Name, c.Pass, c.Detail)
		}
	}
}

// TestChecksFail: each thing that goes wrong fails the checks that are named, and no other.
func TestChecksFail(t *testing.T) {
	verdicts(t, "as expected", slices.Concat(Checks(asExpected()), Controls(asExpected())))
	for name, test := range map[string]struct {
		change func(map[Design]*Result)
		fail   []string
	}{
		"one waits for the shared socket": {func(r map[Design]*Result) { r[Shared].Busy[7].Answered = 10 * time.Second }, []string{SharedServes}},
		"one that was passed waits":       {func(r map[Design]*Result) { r[Passed].Busy[7].Answered = 11 * time.Second }, []string{PassedServes}},
		"one waits for a disk worker":     {func(r map[Design]*Result) { r[Workers].Busy[7].Answered = 11 * time.Second }, []string{WorkersServe}},
		"a tenth waits":                   {func(r map[Design]*Result) { r[ReusePort] = made(ReusePort, 10) }, []string{ReusePortStrands}},
		"half wait":                       {func(r map[Design]*Result) { r[ReusePort] = made(ReusePort, 2) }, []string{ReusePortStrands}},
		"an old one is answered":          {func(r map[Design]*Result) { r[Shared].Kept[0].Answered = time.Second }, []string{KeptWait}},
		"another's old one waits":         {func(r map[Design]*Result) { r[Passed].Kept[1].Answered = 10 * time.Second }, []string{KeptWait}},
		"one has no answer":               {func(r map[Design]*Result) { r[InTurn].Free[0].Got = 0 }, []string{NothingLost}},
	} {
		all := asExpected()
		test.change(all)
		verdicts(t, name, Checks(all), test.fail...)
	}
}

// TestControlsNotice: the controls fail if their design does what the others do.
func TestControlsNotice(t *testing.T) {
	all := asExpected()
	all[ReusePort].Free = all[ReusePort].Busy
	verdicts(t, "something is blocked", Controls(all), NothingBlocked)
	all = asExpected()
	all[ReusePort], all[InTurn] = made(ReusePort, 0), made(InTurn, 0)
	all[Workers].Kept = all[Shared].Kept
	verdicts(t, "nothing waits", Controls(all), OwnSockets, PassedInTurn, KeptByWorkers)
}

// TestReport: made-up results are drawn and told.
func TestReport(t *testing.T) {
	all := asExpected()
	if drawn, err := figures(all); err != nil || len(drawn) != 2 {
		t.Errorf("%d figures, %v", len(drawn), err)
	}
	row := designTable(all).Rows[3]
	if row[0] != string(ReusePort) || row[2] != 300 || row[3] != 100 || row[8] != 2 || row[10] != 2 {
		t.Errorf("designs: %v", row)
	}
	if row := shareTable(all).Rows[0]; row[1] != "[100 100 100 100]" {
		t.Errorf("shares: %v", row)
	}
}
