package report

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"lbctl/bpf/need"
)

// someFront is a front page with a run in each state. The first runs belong to two problems.
func someFront() Front {
	passed, failed, open := sample(), sample(), sample()
	failed.Pass, failed.Checks[0].Pass, failed.Headline, failed.Controls = false, false, "", nil
	open.Pass, open.Checks[0].Pass, open.Checks[0].Verdict = false, false, Undetermined
	spread := FrontRun{Experiment: "spread", Result: &passed, Folder: "spread"}
	return Front{Title: "Problems, measured", Problems: []FrontProblem{
		{Number: 5, Title: "A store", Parts: []FrontPart{{"a", "One core?", "Yes."}, {"b", "One <key>?", "No."}}, Runs: []FrontRun{
			spread, {Experiment: "bad", Result: &failed, Folder: "bad"}, {Experiment: "open", Result: &open, Folder: "open"},
		}},
		{Number: 7, Title: "Files", Parts: []FrontPart{{"", "Who reaps?", "The parent."}}, Runs: []FrontRun{
			{Experiment: "none"}, {Experiment: "broken", Why: "no package memcached"},
		}},
		{Number: 10, Title: "h mod N", Runs: []FrontRun{spread}},
		{Number: 11, Title: "Nobody's"},
	}}
}

// TestFront: every problem with its answer, every run with its evidence, its control and its state; links lead to the
// reports beside it, and nothing is loaded.
func TestFront(t *testing.T) {
	dir := t.TempDir()
	if err := WriteFront(dir, someFront()); err != nil {
		t.Fatal(err)
	}
	html, err := os.ReadFile(filepath.Join(dir, FrontFile))
	if err != nil {
		t.Fatal(err)
	}
	text := string(html)
	for _, want := range []string{
		"1 passed, 1 failed, 1 undetermined, 1 could not run, 1 not run.", "Linux 6.18.0 x86_64, , 2 cores",
		"(a) One core?", "One &lt;key&gt;?", "The parent.", "0 of 4,000 moved.", "2 of 3 checks hold.",
		`href="spread/report.html"`, ">Passed<", ">Failed<", ">Undetermined<", ">Not run<", ">Could not run<",
		"Control spray", "flow-queue-affinity failed, as it must.", "no package memcached", "lbctl lab run none", "Not measured.", "@media print",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the front page lacks %q", want)
		}
	}
	for _, link := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(text, -1) {
		if !regexp.MustCompile(`^[a-z]+/report\.html$`).MatchString(link[1]) {
			t.Errorf("link %q leads elsewhere", link[1])
		}
	}
	if found := regexp.MustCompile(`(?i)<script|<link|<img|<iframe|@import|url\(|\bsrc=|\bon[a-z]+=|https?:`).FindAllString(text, -1); found != nil {
		t.Errorf("the front page is not self-contained: %q", found)
	}
}

// TestPrepare: what cannot be written to is told at once, with what the system says, and nothing is left there.
func TestPrepare(t *testing.T) {
	need.Root(t)
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := Prepare(dir); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	small := t.TempDir()
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(small, 0)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for where, want := range map[string]error{small: syscall.ENOSPC, file: syscall.ENOTDIR, "/proc/none": syscall.ENOENT} {
		err := Prepare(where)
		var typed *WriteError
		if !errors.Is(err, want) || !errors.As(err, &typed) {
			t.Errorf("%s: %v, want a WriteError of %v", where, err, want)
		}
	}
	if left, err := os.ReadDir(small); err != nil || len(left) != 0 {
		t.Errorf("left on the full disk: %v, %v", left, err)
	}
}
