package document_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/cmd/balance"
	"lbctl/cmd/cli"
	"lbctl/cmd/cli/clitest"
)

// editWorld has a daemon and an editor that is a script; $1 is the file, and n counts how often it was opened.
func editWorld(t *testing.T, script string) *clitest.World {
	t.Helper()
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	t.Setenv("TMPDIR", w.Dir)
	editor := w.Write("editor", "#!/bin/sh\nset -e\ncd "+w.Dir+"\necho >>opened\nn=$(wc -l <opened)\ncp \"$1\" seen.$n\n"+script+"\n")
	if err := os.Chmod(editor, 0o700); err != nil {
		t.Fatal(err)
	}
	w.Env = map[string]string{"EDITOR": editor}
	return w
}

// left are the files of edits that were not applied.
func left(w *clitest.World) []string {
	names, _ := filepath.Glob(w.Path("lbctl-edit-*"))
	return names
}

func seen(t *testing.T, w *clitest.World, n string) string {
	t.Helper()
	text, err := os.ReadFile(w.Path("seen." + n))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestEdit: what is saved is applied; a wrong text is opened again with the error, whose line is that of the text, above it.
func TestEdit(t *testing.T) {
	w := editWorld(t, `case $n in
1) sed -i 's/scheduler: maglev/scheduler: magelv/' "$1" ;;
2) sed -i 's/scheduler: magelv/scheduler: maglev/; s/weight: 3/weight: 5/' "$1" ;;
esac`)
	if code, out, err := w.Run("edit"); code != cli.ExitDone || !strings.Contains(out, "set  udp [2001:db8::1]:53  changed") {
		t.Fatalf("edit: %d %s%s", code, out, err)
	}
	if !strings.Contains(w.OK("get", "config"), "weight: 5") {
		t.Error("it was not applied")
	}
	again := seen(t, w, "2")
	lines := strings.Split(again, "\n")
	if !strings.HasPrefix(lines[2], "# WRONG: edit:") || !strings.Contains(lines[2], `"magelv" is not known`) || lines[3] != "# want modulo or maglev" {
		t.Errorf("the second time it begins\n%s", strings.Join(lines[:5], "\n"))
	}
	for n, l := range lines {
		if strings.Contains(l, "scheduler: magelv") && !strings.Contains(lines[2], "edit:"+strconv.Itoa(n+1)+":") {
			t.Errorf("the error stands in line %d: %s", n+1, lines[2])
		}
	}
	if names := left(w); len(names) > 0 {
		t.Errorf("%v are left", names)
	}
}

// TestEditEnds: an unchanged text changes nothing; one that stays wrong, and one that others have overtaken, are kept.
func TestEditEnds(t *testing.T) {
	w := editWorld(t, "true")
	if code, out, err := w.Run("edit"); code != cli.ExitDone || out != "" || err != "lbctl: nothing is changed\n" || len(left(w)) > 0 {
		t.Errorf("unchanged: %d %q %q %v", code, out, err, left(w))
	}
	w = editWorld(t, `if [ $n = 1 ]; then echo "nonsense: 1" >>"$1"; fi`)
	if code, _, err := w.Run("edit"); code != cli.ExitUsage || !strings.Contains(err, "nonsense: unknown field") || !strings.Contains(err, "the text is in DIR/lbctl-edit-") || len(left(w)) != 1 {
		t.Errorf("wrong twice: %d %s", code, err)
	}
	w = editWorld(t, `sed -i 's/weight: 3/weight: 4/' "$1"; touch go; while [ ! -e on ]; do sleep 0.05; done`)
	done := make(chan string)
	go func() {
		for {
			if _, err := os.Stat(w.Path("go")); err == nil {
				break
			}
		}
		done <- w.OK("replica", "add", "web", "10.0.0.9:8080")
		w.Write("on", "")
	}()
	code, said := make(chan int), ""
	go func() {
		c, _, err := w.Run("edit")
		said = err
		code <- c
	}()
	<-done
	if c := <-code; c != cli.ExitConflict || len(left(w)) != 1 || !strings.Contains(said, "the text is in DIR/lbctl-edit-") {
		t.Errorf("overtaken: exit %d, %s, %v", c, said, left(w))
	}
	if now := w.OK("get", "config"); !strings.Contains(now, "10.0.0.9:8080") || strings.Contains(now, "weight: 4") {
		t.Errorf("the change of the others is lost:\n%s", now)
	}
	w = editWorld(t, `sed -i 's/weight: 3/weight: 4/' "$1"`)
	if code, out, _ := w.Run("edit", "--dry-run"); code != cli.ExitDone || !strings.Contains(out, "weight: 3 > 4") || strings.Contains(w.OK("get", "config"), "weight: 4") {
		t.Errorf("a dry run: %d %s", code, out)
	}
}

// TestDiff: 0 is the same, whatever defaults a file leaves out; 1 differs, and the lines are shown.
func TestDiff(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	if out := w.OK("diff", "-f", w.Path("web.yaml")); out != "" {
		t.Errorf("the same: %s", out)
	}
	other := w.Write("other.yaml", strings.Replace(clitest.WebConfig, "weight: 3", "weight: 4", 1))
	code, out, err := w.Run("diff", "-f", other)
	if code != cli.ExitFailed || !strings.Contains(out, "-        weight: 3\n+        weight: 4\n") || !strings.HasPrefix(out, "--- revision-1") || !strings.Contains(err, "differs") {
		t.Errorf("diff: %d\n%s%s", code, out, err)
	}
	w.Stdin = clitest.WebConfig
	if out := w.OK("diff", "-f", "-"); out != "" {
		t.Errorf("of stdin: %s", out)
	}
	w.Env = map[string]string{"LBCTL_DIFF": "cat"}
	if code, out, _ := w.Run("diff", "-f", other); code != cli.ExitFailed || strings.Count(out, "name: web") != 2 {
		t.Errorf("with cat: %d %s", code, out)
	}
	w.Refused("diff -f DIR/none.yaml", cli.ExitNotFound, "open DIR/none.yaml: no such file or directory", "check the name")
}

// TestPlanOffline: the shares are those that a daemon would tell.
func TestPlanOffline(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	from := w.Write("web.yaml", clitest.WebConfig)
	to := w.Write("to.yaml", strings.Replace(clitest.WebConfig, "      - {address: 10.0.0.2:8080}\n", "      - {address: 10.0.0.3:8080}\n      - {address: 10.0.0.2:8080}\n", 1))
	offline := w.OK("plan", "-f", to, "--offline", "--from", from)
	w.Serve("-f", from)
	if online := w.OK("plan", "-f", to); online != offline || !strings.Contains(offline, "66.7 % of new flows go to another replica (4 of 6)") {
		t.Errorf("without a daemon\n%swith one\n%s", offline, online)
	}
	if out := w.OK("plan", "-f", from, "--offline", "--from", from); out != "nothing to do\n" {
		t.Errorf("of the same: %s", out)
	}
	if out := w.OK("plan", "-f", from, "--offline"); strings.Count(out, "new") != 3 {
		t.Errorf("from nothing: %s", out)
	}
	w.Refused("plan -f DIR/web.yaml --from DIR/web.yaml", cli.ExitUsage, "--from without --offline", "see lbctl plan --help")
}

// TestPlanFromState: what a stopped daemon has stored and what was set by hand there is the beginning, as the next daemon has it;
// nothing in the directory changes, and one that runs is not read beside.
func TestPlanFromState(t *testing.T) {
	w := clitest.New(t, balance.Commands)
	w.Serve("-f", w.Write("web.yaml", clitest.WebConfig))
	w.OK("down", "web", "10.0.0.2:8080")
	to := w.Write("to.yaml", strings.Replace(clitest.WebConfig, "      - {address: 10.0.0.2:8080}\n", "      - {address: 10.0.0.3:8080}\n      - {address: 10.0.0.2:8080}\n", 1))
	online, back := w.OK("plan", "-f", to), w.OK("plan", "-f", to, "--take-back")
	code, _, stderr := w.Run("plan", "-f", to, "--state-dir", w.Path("state"))
	if code != cli.ExitConflict || !strings.HasSuffix(stderr, "a daemon runs there: ask it, by lbctl plan -f FILE without --state-dir\n") {
		t.Errorf("beside a daemon: exit %d, %s", code, stderr)
	}
	w.Stop()
	before := contentOf(t, w.Path("state"))
	if got := w.OK("plan", "-f", to, "--state-dir", w.Path("state")); got != online || !strings.Contains(got, "10.0.0.2:8080") {
		t.Errorf("from the state\n%sof the daemon\n%s", got, online)
	}
	if got := w.OK("plan", "-f", to, "--state-dir", w.Path("state"), "--take-back=*"); got != back || got == online {
		t.Errorf("from the state, taking back\n%sof the daemon\n%s", got, back)
	}
	if diff := cmp.Diff(before, contentOf(t, w.Path("state"))); diff != "" {
		t.Errorf("the directory is another one (-before +after):\n%s", diff)
	}
	w.Refused("plan -f DIR/to.yaml --state-dir DIR/none", cli.ExitNotFound, "open state directory: stat DIR/none: no such file or directory", "name the directory that lbctl serve --state-dir had")
	if err := os.Mkdir(w.Path("empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.Refused("plan -f DIR/to.yaml --state-dir DIR/empty", cli.ExitNotFound, "plan from DIR/empty: not found: no revision is stored there", "name the directory that lbctl serve --state-dir had")
	w.Refused("plan -f DIR/to.yaml --offline --from DIR/web.yaml --state-dir DIR/state", cli.ExitUsage, "--from and --state-dir: want one of them", "see lbctl plan --help")
	w.Refused("plan -f DIR/to.yaml --state-dir DIR/state --take-back=wbe", cli.ExitUsage, `--take-back: "wbe": there is no such service`, "want the name of a service, or * for all")
}

// contentOf returns the files of a directory by name.
func contentOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	content := map[string]string{}
	for _, f := range all {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		content[f.Name()] = string(text)
	}
	return content
}
