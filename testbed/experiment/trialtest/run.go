// Package trialtest runs an experiment in a test, with real namespaces, processes and packets.
package trialtest

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"lbctl/bpf/need"
	"lbctl/testbed/experiment"
	"lbctl/testbed/progress"
	"lbctl/testbed/report"
	"lbctl/testbed/vm"
)

// seed is the same in every test: what fails once fails again.
const seed = 1

// Quick runs an experiment at its quick sizes, with parameters ("rounds=3") set after that, and returns what it
// found. It fails the test if a check or a control failed, or a table is empty; one that is undetermined is no failure, because the machine may be
// busy. It needs root. With LBCTL_LAB=all in the environment the test is skipped: the tests of cmd/lab then run all experiments.
func Quick(t *testing.T, e experiment.Experiment, parameters ...string) experiment.Outcome {
	t.Helper()
	if os.Getenv("LBCTL_LAB") == "all" {
		t.Skip("cmd/lab runs it")
	}
	need.Root(t)
	program := filepath.Join(t.TempDir(), "lbctl")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "lbctl/cmd/lbctl").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	trial := e.Trial()
	if err := trial.Parameters().Resize(experiment.Quick); err != nil {
		t.Fatal(err)
	}
	for _, p := range parameters {
		if err := trial.Parameters().Set(p); err != nil {
			t.Fatal(err)
		}
	}
	out, err := trial.Run(t.Context(), experiment.Env{
		Program: program, Seed: seed, Progress: progress.Silent{}, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: time.Now,
	})
	if errors.Is(err, vm.ErrMissing) {
		need.QEMU(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range slices.Concat(out.Result.Checks, out.Result.Controls) {
		if c.Outcome() == report.Fail {
			t.Errorf("seed %d: %s failed: %v, want %v: %s", seed, c.Name, c.Measured, c.Expected, c.Detail)
		}
	}
	for _, table := range out.Result.Tables {
		if len(table.Rows) == 0 {
			t.Errorf("table %s is empty", table.Name)
		}
	}
	return out
}

// Parameters sets one parameter after the other ("rounds=3"), each with all others at their defaults: those that are good must be
// valid, the others refused. What the sizes set must be valid, too.
func Parameters(t *testing.T, e experiment.Experiment, good map[string]bool) {
	t.Helper()
	for assignment, good := range good {
		p := e.Trial().Parameters()
		err := p.Set(assignment)
		if err == nil {
			err = p.Validate()
		}
		if (err == nil) != good || err != nil && !errors.Is(err, experiment.ErrParameter) {
			t.Errorf("%s: %v, want it good: %v", assignment, err, good)
		}
	}
	for _, size := range []experiment.Size{"", experiment.Quick, experiment.Full} {
		p := e.Trial().Parameters()
		if err := errors.Join(p.Resize(size), p.Validate()); err != nil {
			t.Errorf("size %q is refused: %v", size, err)
		}
	}
}
