package helper

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"lbctl/bpf/need"
	"lbctl/testbed/netns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func namespace(t *testing.T) *netns.Namespace {
	t.Helper()
	need.Root(t)
	run, err := netns.NewRun()
	check(t, err)
	t.Cleanup(func() { check(t, run.Close()) })
	n, err := run.Make("process")
	check(t, err)
	return n
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTalk: lines go in and come out; asked to end it ends without error.
func TestTalk(t *testing.T) {
	p, err := Start(namespace(t), "parrot", "sh", "-c", "echo noise; echo ready; while read x; do echo got $x; done; sleep 60")
	check(t, err)
	check(t, p.Await("ready"))
	check(t, p.Tell([]byte("one")))
	if line, err := p.Line(); err != nil || line != "got one" {
		t.Errorf("%q, %v", line, err)
	}
	check(t, p.Stop())
	if err := p.Over(); err == nil {
		t.Error("it was stopped and is not over")
	}
	check(t, p.Stop())
}

// TestEndIsQuoted: the error of a process that ends by itself holds its name, its code and what it said.
func TestEndIsQuoted(t *testing.T) {
	n := namespace(t)
	err := Run(n, "grumbler", "sh", "-c", "echo nonsense >&2; exit 3")
	for _, want := range []string{"grumbler", "exit status 3", "nonsense"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	p, err := Start(n, "brief", "sh", "-c", "exit 4")
	check(t, err)
	if err := p.Await("ready"); err == nil || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("waiting for one that ends: %v", err)
	}
	if err := Run(n, "none", "/nonexistent"); err == nil {
		t.Error("a program that is not there was run")
	}
}

// TestBadEnd: one that is asked to end and says that it could not is an error.
func TestBadEnd(t *testing.T) {
	p, err := Start(namespace(t), "stubborn", "sh", "-c", "trap '' TERM; echo ready; read x; exit 4")
	check(t, err)
	check(t, p.Await("ready"))
	if err := p.Stop(); err == nil || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("stop: %v, want exit status 4", err)
	}
}

// TestFamilyEndsAsOne: with a killed process end those that it forked, as far as they may have gone.
func TestFamilyEndsAsOne(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	p, err := StartFamily(namespace(t), "parent", "sh", "-c", "setsid sh -c 'readlink /proc/self/ns/pid > "+file+"; echo forked; exec >/dev/null 2>&1; sleep 30' & wait")
	check(t, err)
	check(t, p.Await("forked"))
	space, err := os.ReadFile(file)
	check(t, err)
	if members(t, strings.TrimSpace(string(space))) < 2 {
		t.Fatal("it forked nobody: this test tests nothing")
	}
	check(t, p.End())
	if n := members(t, strings.TrimSpace(string(space))); n != 0 {
		t.Errorf("%d processes are left of the family", n)
	}
}

// members counts the processes of a process id namespace.
func members(t *testing.T, space string) (n int) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	check(t, err)
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		if is, _ := os.Readlink(filepath.Join("/proc", e.Name(), "ns/pid")); is == space { // none: it has ended
			n++
		}
	}
	return n
}

// TestAsleep: a process that waits is asleep, one that works or is no more is not.
func TestAsleep(t *testing.T) {
	n := namespace(t)
	idle, err := Start(n, "idle", "sh", "-c", "echo ready; read x")
	check(t, err)
	check(t, idle.Await("ready"))
	check(t, Until(t.Context(), patience, "sleep", func() error { return Asleep(idle.PID()) }, idle.Over))
	busy, err := Start(n, "busy", "sh", "-c", "echo ready; while :; do :; done")
	check(t, err)
	check(t, busy.Await("ready"))
	if err := Asleep(busy.PID()); err == nil {
		t.Error("one that works is asleep")
	}
	check(t, idle.End())
	check(t, busy.End())
	if err := Asleep(idle.PID()); err == nil {
		t.Error("one that has ended is asleep")
	}
}

func TestTail(t *testing.T) {
	var last tail
	for range 3000 {
		if n, err := last.Write([]byte("abc")); n != 3 || err != nil {
			t.Fatal(n, err)
		}
	}
	if got := last.String(); len(got) != tailSize || !strings.HasSuffix(got, "abc") {
		t.Errorf("%d bytes kept, want %d, the last", len(got), tailSize)
	}
}

func TestFieldOfProc(t *testing.T) {
	text := []byte("Name:\tlbctl\nVmHWM:\t   2048 kB\nVmRSS:\t    1024 kB\nmap_id:\t17\n")
	for name, want := range map[string]uint64{"VmHWM": 2048, "VmRSS": 1024, "map_id": 17, "memlock": 0, "Name": 0, "VmR": 0} {
		if got := field(text, name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}
