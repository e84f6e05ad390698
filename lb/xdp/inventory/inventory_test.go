package inventory

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lbctl/bpf"
	"lbctl/bpf/need"

	"github.com/cilium/ebpf"
)

// pinAll loads an object, pins its programs and tables by their names, and returns how many these are.
func pinAll(t *testing.T, read func() (*ebpf.CollectionSpec, error), dir string) (programs, tables int) {
	t.Helper()
	spec, err := read()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range spec.Maps {
		m.Pinning = ebpf.PinNone
	}
	loaded, err := ebpf.NewCollection(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer loaded.Close()
	for name, p := range loaded.Programs {
		if err := p.Pin(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, m := range loaded.Maps {
		if strings.HasPrefix(name, ".") {
			continue // the file system takes no such name
		}
		tables++
		if err := m.Pin(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return len(loaded.Programs), tables
}

// TestTagsAreTheKernels: the tag that is told of a program of this build is the one that the kernel gives it, and what is pinned is
// told, with what is not pinned and a program of another build called so.
func TestTagsAreTheKernels(t *testing.T) {
	need.Root(t)
	dir, err := os.MkdirTemp("/sys/fs/bpf", "lbctl-test-inventory")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	var programs, tables int
	for _, read := range []func() (*ebpf.CollectionSpec, error){bpf.LoadDecap, bpf.LoadCheck} {
		p, m := pinAll(t, read, dir)
		programs, tables = programs+p, tables+m
	}
	all, err := Pinned(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(all.Programs) != programs || len(all.Tables) != tables || len(all.Programs) == 0 {
		t.Errorf("told %+v", all)
	}
	build, err := Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all.Programs {
		n := slices.IndexFunc(build, func(c Compiled) bool { return c.Name == p.Pin })
		if n < 0 || build[n].Tag != p.Tag || !p.Ours {
			t.Errorf("%+v is in the kernel, in this build %+v", p, build)
		}
	}
	for _, m := range all.Tables {
		if m.ID == 0 || m.Entries == 0 && m.Kind != "SkStorage" || m.Kind == "" {
			t.Errorf("table %+v", m)
		}
	}
	if _, err := Pinned(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no directory: %v", err)
	}
}

// TestFeatures: the kernels that lbctl runs on have them all.
func TestFeatures(t *testing.T) {
	need.Root(t)
	for _, f := range Features() {
		if f.State != "found" {
			t.Errorf("%+v", f)
		}
	}
}
