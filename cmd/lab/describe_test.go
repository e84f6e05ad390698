package lab

import (
	"slices"
	"strings"
	"testing"

	"lbctl/cmd/cli"
	"lbctl/testbed/lab"
)

// TestList: a line for each experiment, with what it takes and asks, and no parameters.
func TestList(t *testing.T) {
	w := newWorld(t)
	lines := strings.Split(strings.TrimSpace(w.OK("lab", "list")), "\n")
	if all := lab.All(); len(lines) != 1+len(all) {
		t.Fatalf("%d lines of %d experiments", len(lines), len(all))
	}
	for i, e := range lab.All() {
		if line := lines[i+1]; !strings.Contains(line, e.Name) || !strings.Contains(line, e.Question) || !strings.Contains(line, "root") {
			t.Errorf("%s: %s", e.Name, line)
		}
	}
	if i := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "nic-oracle") }); !strings.Contains(lines[i], "qemu-system-x86") {
		t.Errorf("what it needs is missing: %s", lines[i])
	}
}

// TestDescribe: what an experiment declares is told, without root.
func TestDescribe(t *testing.T) {
	w := newWorld(t)
	code, stdout, stderr := w.Run("lab", "describe", "spread")
	for _, want := range []string{"about 12 s", "question", "claim", "method", "flow-queue-affinity", "another-key", "connections", "40000"} {
		if code != cli.ExitDone || !strings.Contains(stdout, want) {
			t.Errorf("exit %d, %q is missing:\n%s%s", code, want, stdout, stderr)
		}
	}
	if code, _, stderr := w.Run("lab", "describe", "spraed"); code != cli.ExitNotFound || !strings.Contains(stderr, "did you mean spread?") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// TestHandouts: every experiment with predictions has a handout, which does not hold the textbook's answer, and which is
// refused line by line as long as it is not filled in.
func TestHandouts(t *testing.T) {
	w := newWorld(t)
	for _, e := range lab.All() {
		text := w.OK("lab", "describe", e.Name, "--handout")
		told := strings.Contains(strings.Join(strings.Fields(strings.ReplaceAll(text, "#", "")), " "), e.Claim)
		if told && strings.Contains(e.Claim, " ") || !strings.Contains(text, "experiment: "+e.Name) {
			t.Errorf("%s: handout\n%s", e.Name, text)
		}
		if len(e.Predictions) == 0 {
			continue
		}
		file := w.Write(e.Name+".yaml", text)
		code, stdout, stderr := w.Run("lab", "run", e.Name, "--predict", file)
		if code != cli.ExitUsage || stdout != "" || !strings.Contains(stderr, e.Predictions[0].Name+" has no answer") || !strings.Contains(stderr, "--handout") {
			t.Errorf("%s, not filled in: exit %d\n%s", e.Name, code, stderr)
		}
	}
	w.Refused("lab describe spread --handout -o json", cli.ExitUsage, "--handout: it is a file of its own format, without --output", "see lbctl lab describe --help")
	w.Refused("lab run all --predict DIR/spread.yaml", cli.ExitUsage, "--predict: want the name of one experiment, not all", "see lbctl lab run --help")
	w.Refused("lab run spread --predict DIR/none", cli.ExitNotFound, "read predictions: open DIR/none: no such file or directory", "lbctl lab describe spread --handout writes a file to fill in")
}
