package experiment

import (
	"fmt"
	"slices"
	"strings"

	"lbctl/testbed/report"
)

// Flips completes a control: it passes only if each of the checks that it aims at failed, and says so.
func Flips(control report.Check, aims ...report.Check) report.Check {
	for _, aim := range aims {
		if aim.Pass {
			control.Pass = false
			control.Detail += fmt.Sprintf(" %s passed, though it had to fail.", aim.Name)
		} else {
			control.Detail += fmt.Sprintf(" %s failed, as it must.", aim.Name)
		}
	}
	return control
}

// MustFail is the control that asks checks where something was broken on purpose: each of them must fail there. It shows what the
// first one measured, and after that one's detail says also.
func MustFail(name, also string, aim report.Check, more ...report.Check) report.Check {
	return Flips(report.Check{
		Name: name, Measured: aim.Measured, Expected: "not " + report.Cell(aim.Expected), Pass: true,
		Detail: strings.TrimSpace(aim.Detail + " " + also),
	}, append([]report.Check{aim}, more...)...)
}

// But ends a sentence of a check's detail with what weakens it, if anything does.
func But(what string, list []string) string {
	if len(list) == 0 {
		return ""
	}
	return " " + what + ": " + strings.Join(list, "; ") + "."
}

// One is 1 for true, to count by.
func One(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Finding is a question, and what answers it if the checks of some names pass, all if it names none.
type Finding struct {
	Question, Answer string
	Checks           []string
}

// Claims is the table that the page shows first: the answers to the textbook's questions, by the checks.
func Claims(checks []report.Check, findings ...Finding) report.Table {
	t := report.Table{Name: "claims", Columns: []string{"question", "answer"}}
	for _, f := range findings {
		shown := slices.DeleteFunc(slices.Clone(checks), func(c report.Check) bool { return len(f.Checks) > 0 && !slices.Contains(f.Checks, c.Name) })
		if !report.Passed(shown) || len(shown) < len(f.Checks) {
			f.Answer = "Not shown by this run: see the checks that did not pass."
		}
		t.Rows = append(t.Rows, []any{f.Question, f.Answer})
	}
	return t
}
