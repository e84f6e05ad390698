package nicoracle

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lbctl/bpf/need"
	"lbctl/testbed/experiment"
	"lbctl/testbed/progress"
	"lbctl/testbed/vm"
)

// environment builds lbctl, which the guest runs.
func environment(t *testing.T) experiment.Env {
	t.Helper()
	program := filepath.Join(t.TempDir(), "lbctl")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "lbctl/cmd/lbctl")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return experiment.Env{
		Program: program, Seed: 1, Now: time.Now, Progress: progress.Silent{},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// rows are the records of a golden file, without its words about where it is from.
func rows(t *testing.T, path string) (rows []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for row := range strings.Lines(string(b)) {
		if !strings.HasPrefix(row, "#") {
			rows = append(rows, row)
		}
	}
	return rows
}

// The experiment as lbctl lab run nic-oracle runs it, in a real guest: every check and control
// passes, and the golden file that package nic replays is what the guest's NIC does today.
func TestOracle(t *testing.T) {
	need.Root(t)
	golden := filepath.Join(t.TempDir(), "virtio-net.csv")
	trial := Experiment().Trial()
	if err := trial.Parameters().Set("golden=" + golden); err != nil {
		t.Fatal(err)
	}
	outcome, err := trial.Run(t.Context(), environment(t))
	if errors.Is(err, vm.ErrMissing) {
		need.QEMU(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range append(outcome.Result.Checks, outcome.Result.Controls...) {
		if !c.Pass {
			t.Errorf("%s: %s", c.Name, c.Detail)
		}
	}
	if !outcome.Result.Pass || len(outcome.Result.Checks) < 5+int(kinds) || len(outcome.Result.Controls) < 4 || len(outcome.Figures) == 0 {
		t.Errorf("pass %v, with %d checks, %d controls, %d figures", outcome.Result.Pass,
			len(outcome.Result.Checks), len(outcome.Result.Controls), len(outcome.Figures))
	}
	if diff := cmp.Diff(rows(t, "../../../rss/nic/testdata/virtio-net.csv"), rows(t, golden)); diff != "" {
		t.Errorf("the golden file is not what the NIC does (-golden +now):\n%s", diff)
	}
}

func TestParametersAreChecked(t *testing.T) {
	for _, packets := range []string{"packets=0", "packets=719", "packets=1048577", "packets=-1"} {
		if err := Experiment().Trial().Parameters().Set(packets); !errors.Is(err, experiment.ErrParameter) {
			t.Errorf("%s: %v, want ErrParameter", packets, err)
		}
	}
}
