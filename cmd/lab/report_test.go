package lab

import (
	"os"
	"strings"
	"testing"

	"lbctl/cmd/cli"
	"lbctl/testbed/lab"
	"lbctl/testbed/report"
)

// TestReportOfMany: the front page over folders holds all ten problems, those that ran and those that did not.
func TestReportOfMany(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"spread", "survive"} {
		r := report.Result{Experiment: name, Problem: "10", Pass: true, Headline: "All of " + name + ".", Seconds: 12.3}
		if err := report.Write(w.Path("all/"+name), r, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(w.Path("all/empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	out := w.OK("lab", "report", w.Path("all"))
	for _, want := range []string{"spread   pass     12 s  All of spread.", "front page  DIR/all/index.html"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	page, err := os.ReadFile(w.Path("all/index.html"))
	if err != nil {
		t.Fatal(err)
	}
	if text := string(page); strings.Count(text, `class="problem"`) != 10 || !strings.Contains(text, "All of survive.") || !strings.Contains(text, "lbctl lab run nic-oracle") {
		t.Errorf("front page:\n%s", text)
	}
}

func TestReportRefuses(t *testing.T) {
	w := newWorld(t)
	const hint = "name a folder that lbctl demo or lbctl lab run wrote"
	w.Refused("lab report DIR/none", cli.ExitNotFound, "load reports: open DIR/none: no such file or directory", hint)
	for _, name := range []string{"two/a", "two/b"} {
		if err := report.Write(w.Path(name), report.Result{Experiment: "spread"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	w.Refused("lab report DIR/two", cli.ExitFailed, "load reports: a and b in DIR/two are both of spread: want one of each experiment", hint)
}

// TestRunRefuses: what is wrong is told before anything runs.
func TestRunRefuses(t *testing.T) {
	w := newWorld(t)
	w.Write("file", "")
	const other = "name another folder with --out"
	w.Refused("lab run spread --out DIR/file/x", cli.ExitFailed, "write report: mkdir DIR/file: not a directory", other)
	w.Refused("lab run all --out DIR/file/x", cli.ExitFailed, "write report: mkdir DIR/file: not a directory", other)
	w.Refused("lab run all --quick --full", cli.ExitUsage, "--quick and --full: want one of them", "see lbctl lab run --help")
	w.Refused("lab run spraed", cli.ExitNotFound, `experiment "spraed": not found`, "did you mean spread?")
	code, _, stderr := w.Run("lab", "run", "all", "--set", "speed=1")
	if first := lab.All()[0].Name; code != cli.ExitUsage || !strings.Contains(stderr, first+`: bad parameter "speed": unknown: want one of`) {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
