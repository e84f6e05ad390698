package bed

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lbctl/bpf/need"
	"lbctl/testbed/netns"
)

// newFolders returns the folders of a kind of their own. Their program appends its arguments to a file, which
// said returns.
func newFolders(t *testing.T) (all folders, said func() string) {
	t.Helper()
	need.Root(t)
	file := filepath.Join(t.TempDir(), "said")
	program := filepath.Join(t.TempDir(), "program")
	check(t, os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\" >> "+file+"\n"), 0o700))
	all = folders{kind: "lbctl-foldertest", program: program}
	t.Cleanup(func() { check(t, os.RemoveAll(all.dir())) })
	return all, func() string {
		text, _ := os.ReadFile(file) // none: the program was not run
		return string(text)
	}
}

// leave makes what a run with a load balancer leaves when it is killed: a folder whose run nobody holds.
func leave(t *testing.T, all folders, id string) folder {
	t.Helper()
	d, err := all.make(id)
	check(t, err)
	_, err = d.instance("lb")
	check(t, err)
	return d
}

// TestSweep: the folder of a dead run goes after its pins, that of a living one stays.
func TestSweep(t *testing.T) {
	all, said := newFolders(t)
	dead := leave(t, all, "1.2")
	run, err := netns.NewRun()
	check(t, err)
	defer run.Close()
	alive := leave(t, all, run.ID())
	check(t, all.sweep(slog.New(slog.DiscardHandler)))
	if _, err := os.Stat(dead.path); err == nil {
		t.Error("the folder of a dead run is still there")
	}
	if _, err := os.Stat(alive.at("lb").path); err != nil {
		t.Errorf("the folder of a living run was removed: %v", err)
	}
	const want = "purge --pin-dir /sys/fs/bpf/lbctl-foldertest-1_2-lb --socket /run/lbctl-foldertest/1_2/lb/sock\n"
	if got := said(); got != want {
		t.Errorf("the program got %q, want %q", got, want)
	}
	check(t, alive.remove())
	if _, err := os.Stat(alive.path); err == nil {
		t.Error("a removed folder is there")
	}
}

// TestPinsThatStay: with pins that cannot be removed the folder stays too, for the next sweep.
func TestPinsThatStay(t *testing.T) {
	all, _ := newFolders(t)
	dead := leave(t, all, "1")
	stuck := all
	stuck.program = filepath.Join(t.TempDir(), "program")
	check(t, os.WriteFile(stuck.program, []byte("#!/bin/sh\necho no luck; exit 1\n"), 0o700))
	if err := stuck.sweep(slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "no luck") {
		t.Errorf("sweep: %v, want what the program said", err)
	}
	if _, err := os.Stat(dead.path); err != nil {
		t.Errorf("the folder is gone, its pins are not: %v", err)
	}
	check(t, all.sweep(slog.New(slog.DiscardHandler)))
	if _, err := os.Stat(dead.path); err == nil {
		t.Error("a second sweep left the folder")
	}
}

// TestMakeAfterADeadRun: a run whose id a dead one had gets an empty folder, after the pins of the dead one were removed.
func TestMakeAfterADeadRun(t *testing.T) {
	all, said := newFolders(t)
	leave(t, all, "1")
	d, err := all.make("1")
	check(t, err)
	if !strings.Contains(said(), "lbctl-foldertest-1-lb") {
		t.Errorf("the program got %q, want the dead run's pins", said())
	}
	_, err = d.instance("lb")
	check(t, err)
	check(t, d.remove())
}

// TestNoRunIsBornInASweep: while the folder of a dead run is removed, no new run gets its id.
func TestNoRunIsBornInASweep(t *testing.T) {
	need.Root(t)
	first, err := netns.NewRun()
	check(t, err)
	id := first.ID()
	check(t, first.Close())
	dead, err := netns.Dead(id, func() error {
		second, err := netns.NewRun()
		check(t, err)
		if second.ID() == id {
			t.Errorf("a run was born with the id %s, which is being swept", id)
		}
		return second.Close()
	})
	if err != nil || !dead {
		t.Errorf("a closed run: dead %v, %v", dead, err)
	}
}

// TestNothingPinned: a run that was killed before it pinned anything, or after it had purged, leaves nothing but its
// folder.
func TestNothingPinned(t *testing.T) {
	all, _ := newFolders(t)
	dead := leave(t, all, "1")
	all.program = filepath.Join(t.TempDir(), "program")
	check(t, os.WriteFile(all.program, []byte("#!/bin/sh\nexit 3\n"), 0o700))
	check(t, all.sweep(slog.New(slog.DiscardHandler)))
	if _, err := os.Stat(dead.path); err == nil {
		t.Error("the folder is still there")
	}
}
