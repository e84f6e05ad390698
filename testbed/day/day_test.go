package day

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The chapter's commands do what it says they do, and no request of the client fails but between a command that
// stops a server, or balancing, and the next one that waits.
func TestADay(t *testing.T) {
	document, err := os.ReadFile("../../README.md")
	check(t, err)
	steps, err := chapter(string(document))
	check(t, err)
	w := newWorld(t)
	var l *load
	for _, s := range steps {
		if s.file != "" {
			check(t, os.WriteFile(filepath.Join(w.folder, s.file), []byte(strings.Join(s.output, "\n")+"\n"), 0o600))
			continue
		}
		printed, status, err := w.shells[s.machine].run(s.command)
		t.Logf("%s: %s\n%s", s.machine, s.command, strings.Join(printed, "\n"))
		if err != nil || status != 0 {
			t.Fatalf("README.md:%d: %s: status %d, %v, printed\n%s", s.line, s.command, status, err, strings.Join(printed, "\n"))
		}
		if line := missing(s.output, printed); line != "" {
			t.Errorf("README.md:%d: %s: does not print\n%s\nbut\n%s", s.line, s.command, line, strings.Join(printed, "\n"))
		}
		switch {
		case l == nil && s.machine == "client": // from the chapter's first request on
			l = w.request()
			defer l.end()
		case l == nil:
		case strings.HasPrefix(s.command, "systemctl stop"), strings.HasPrefix(s.command, "lbctl detach"):
			l.allow()
		case strings.Contains(s.command, "lbctl wait"):
			l.forbid()
		}
		if l != nil {
			if why := l.failure(); why != "" {
				t.Errorf("README.md:%d: %s: %s", s.line, s.command, why)
			}
		}
	}
	if l == nil {
		t.Fatal("the chapter makes no request")
	}
	t.Logf("%d commands, %d requests, %d failed while a server was down and not yet seen to be", len(steps), l.asked.Load(), l.allowed)
}
