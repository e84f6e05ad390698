package rundir

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lbctl/bpf/need"
)

// newRuns returns runs of a kind of their own. Their program appends what it is asked to a file, which
// said returns.
func newRuns(t *testing.T) (runs Runs, said func() string) {
	t.Helper()
	need.Root(t)
	file := filepath.Join(t.TempDir(), "said")
	program := filepath.Join(t.TempDir(), "program")
	check(t, os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\" >> "+file+"\n"), 0o700))
	runs = Runs{Kind: "rundirtest", Program: program}
	t.Cleanup(func() { check(t, os.RemoveAll(runs.folders())) })
	return runs, func() string {
		text, _ := os.ReadFile(file) // none: nothing was said
		return string(text)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// died is what a process leaves that has a load balancer and is killed: its lock goes, the rest stays.
func died(t *testing.T, runs Runs, id string) string {
	t.Helper()
	f, err := runs.Make(id)
	check(t, err)
	_, err = f.Home("lb")
	check(t, err)
	check(t, f.lock.Close())
	return f.Path("")
}

// TestSweep: the folder of a dead run goes after its pins, that of a living one stays.
func TestSweep(t *testing.T) {
	runs, said := newRuns(t)
	dead := died(t, runs, "1.2")
	alive, err := runs.Make("3")
	check(t, err)
	_, err = alive.Home("lb")
	check(t, err)
	check(t, runs.Sweep(slog.New(slog.DiscardHandler)))
	if _, err := os.Stat(dead); err == nil {
		t.Error("what a dead run left is there")
	}
	if _, err := os.Stat(alive.Path("lb")); err != nil {
		t.Errorf("what a living run has was removed: %v", err)
	}
	const want = "purge --pin-dir /sys/fs/bpf/lbctl-rundirtest-1_2-lb --socket /run/lbctl-rundirtest/1_2/lb/sock\n"
	if got := said(); got != want {
		t.Errorf("the program was asked %q, want %q", got, want)
	}
	check(t, alive.Close())
	if _, err := os.Stat(alive.Path("")); err == nil {
		t.Error("a closed folder is there")
	}
}

// TestPinsThatStay: with pins that cannot be removed the folder stays too, for the next sweep.
func TestPinsThatStay(t *testing.T) {
	runs, _ := newRuns(t)
	dead := died(t, runs, "1")
	stuck := runs
	stuck.Program = filepath.Join(t.TempDir(), "program")
	check(t, os.WriteFile(stuck.Program, []byte("#!/bin/sh\necho no luck; exit 1\n"), 0o700))
	if err := stuck.Sweep(slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "no luck") {
		t.Errorf("sweep: %v, want what the program said", err)
	}
	if _, err := os.Stat(dead); err != nil {
		t.Errorf("the folder is gone, its pins are not: %v", err)
	}
	check(t, runs.Sweep(slog.New(slog.DiscardHandler)))
	if _, err := os.Stat(dead); err == nil {
		t.Error("a second sweep left the folder")
	}
}

// TestMakeWaitsForASweep: a run whose id a dead one had gets a folder of its own, not the one that is being removed.
func TestMakeWaitsForASweep(t *testing.T) {
	runs, _ := newRuns(t)
	died(t, runs, "1")
	sweeper, err := runs.Make("1")
	check(t, err)
	made := make(chan *Folder)
	go func() {
		defer close(made)
		if f, err := runs.Make("1"); err == nil {
			made <- f
		}
	}()
	check(t, sweeper.Close())
	f, ok := <-made
	if !ok {
		t.Fatal("no folder was made")
	}
	_, err = f.Home("lb")
	check(t, err)
	check(t, f.Close())
}
