package survive

import (
	"log/slog"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"lbctl/bpf/need"
	"lbctl/testbed/experiment"
)

// still is progress that nobody looks at.
type still struct{}

func (still) Begin(int)   {}
func (still) Step(string) {}
func (still) At(int)      {}
func (still) End()        {}

// TestSurviveInSmall plays all arms on real packets: everything passes.
func TestSurviveInSmall(t *testing.T) {
	need.Root(t)
	program := filepath.Join(t.TempDir(), "lbctl")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "lbctl/cmd/lbctl").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	trial := newTrial()
	for _, assignment := range []string{
		"connections=120", "untracked=30", "changes=10", "fresh=3", "clients=20", "probes=16", "flows=65536", "rest=false",
		"syns=40000", "acks=20000", "kills=1", "cuts=3", "updates=1", "switches=5", "rate=20000",
	} {
		if err := trial.Parameters().Set(assignment); err != nil {
			t.Fatal(err)
		}
	}
	const seed = 1
	outcome, err := trial.Run(t.Context(), experiment.Env{
		Program: program, Seed: seed, Progress: still{}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range slices.Concat(outcome.Result.Checks, outcome.Result.Controls) {
		if !c.Pass {
			t.Errorf("seed %d: %s failed: %v, want %v: %s", seed, c.Name, c.Measured, c.Expected, c.Detail)
		}
	}
	for _, table := range outcome.Result.Tables {
		if len(table.Rows) == 0 || table.Name == "changes" && len(table.Rows) < 4*10 {
			t.Errorf("table %s has %d lines", table.Name, len(table.Rows))
		}
	}
}
