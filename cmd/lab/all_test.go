package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lbctl/testbed/lab"
	"lbctl/testbed/report"
)

// maxMemory is what a process of an experiment may take at most, in bytes.
const maxMemory = 1 << 30

// TestLabAll runs every experiment at its quick size, as lbctl lab run all --quick does: none fails, and nothing is left.
// One that is undetermined is no failure here, because the machine may be busy. Then two of them are run again
// with the same seed, spread as the demo: they make the same choices.
func TestLabAll(t *testing.T) {
	program, dir := buildProgram(t), t.TempDir()
	c := exec.CommandContext(t.Context(), program, "lab", "run", "all", "--quick", "--out", dir, "-o", "json")
	var log strings.Builder
	c.Stderr = &log
	out, err := c.Output() // by its results
	results := decodeAll(t, out)
	for _, e := range lab.All() {
		i := slices.IndexFunc(results, func(r report.Result) bool { return r.Experiment == e.Name })
		if i < 0 {
			t.Errorf("%s did not run: %v\n%s", e.Name, err, &log)
			continue
		}
		noneFailed(t, results[i])
	}
	page, err := os.ReadFile(filepath.Join(dir, report.FrontFile))
	if err != nil || strings.Contains(string(page), "ould not run") {
		t.Errorf("the front page: %v", err)
	}
	if all := left(t, c.Process.Pid); len(all) != 0 {
		t.Errorf("left behind: %v", all)
	}
	used := c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	if t.Logf("the largest process took %d MB", used>>20); used > maxMemory {
		t.Errorf("a process took %d MB, more than %d", used>>20, maxMemory>>20)
	}
	sameChoices(t, filepath.Join(dir, "spread"), []string{program, "demo"},
		"control another-key", "control another-hash", "control table-rewritten", "control replica-removed")
	sameChoices(t, filepath.Join(dir, "change"), []string{program, "lab", "run", "change"},
		"moved-as-predicted", "maglev-moves-fewer", "control another-hash", "control undrained")
}

// decodeAll reads the results that are printed one after the other.
func decodeAll(t *testing.T, out []byte) (results []report.Result) {
	t.Helper()
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var r report.Result
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return results
		} else if err != nil {
			t.Fatalf("stdout holds no result: %v", err)
		}
		results = append(results, r)
	}
}

// noneFailed demands that no check or control failed, and that the front page has something to tell.
func noneFailed(t *testing.T, r report.Result) {
	t.Helper()
	t.Logf("%s: %s after %.0f s", r.Experiment, r.Outcome(), r.Seconds)
	for _, check := range slices.Concat(r.Checks, r.Controls) {
		if check.Outcome() == report.Fail {
			t.Errorf("%s: %s failed: %v, want %v: %s", r.Experiment, check.Name, check.Measured, check.Expected, check.Detail)
		}
	}
	for _, table := range r.Tables {
		if len(table.Rows) == 0 {
			t.Errorf("%s: table %s is empty", r.Experiment, table.Name)
		}
	}
	if r.Headline == "" || len(r.Quantities) == 0 {
		t.Errorf("%s: headline %q, %d quantities", r.Experiment, r.Headline, len(r.Quantities))
	}
}

// sameChoices runs an experiment again with the seed of a report of it: the same connections are made, so that figures that depend
// on nothing but their hashes are equal.
func sameChoices(t *testing.T, first string, command []string, figures ...string) {
	t.Helper()
	again := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), command[0], append(command[1:], "--quick", "--out", again)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
	a, _, err := report.Load(first)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := report.Load(again)
	if err != nil {
		t.Fatal(err)
	}
	difference := report.Compare(a, b)
	if len(difference.Parameters) != 0 {
		t.Errorf("parameters differ: %+v", difference.Parameters)
	}
	seen := 0
	for _, f := range difference.Figures {
		if slices.Contains(figures, f.Name) {
			if seen++; f.Noise != report.Equal {
				t.Errorf("%s: %s and, with the same seed, %s", f.Name, f.A, f.B)
			}
		}
	}
	if seen != len(figures) {
		t.Errorf("%d of %d figures are there: %+v", seen, len(figures), difference.Figures)
	}
}
