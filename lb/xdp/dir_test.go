package xdp_test

import (
	"errors"
	"os"
	"slices"
	"testing"

	"lbctl/lb"
	"lbctl/lb/testns"
	"lbctl/lb/xdp"
)

// names are pins of ours in these tests; the last one marks the directory.
var names = []string{"program", "table", "mark"}

// pinned makes a pin directory with programs pinned under names.
func pinned(t *testing.T, names ...string) (dir string) {
	t.Helper()
	dir = testns.PinDir(t)
	if err := xdp.MakeDir(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := testns.Program(t, "p").Pin(dir + "/" + name); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Purge removes what is ours, where the mark is, and says what else is there.
func TestPurge(t *testing.T) {
	for name, c := range map[string]struct {
		pins, left []string
		want       error
		purged     []string
	}{
		"ours":               {pins: names},
		"interrupted before": {pins: []string{"mark"}},
		"with others":        {pins: append([]string{"other", "tab"}, names...), left: []string{"other", "tab"}, purged: []string{"other", "tab"}},
		"of another program": {pins: []string{"other"}, want: lb.ErrConflict, left: []string{"other"}},
		"without the mark":   {pins: []string{"program"}, want: lb.ErrConflict, left: []string{"program"}},
		"empty":              {want: lb.ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			dir := pinned(t, c.pins...)
			got, err := xdp.Purge(dir, names)
			if !errors.Is(err, c.want) || !slices.Equal(got, c.purged) {
				t.Errorf("purge: left %v, %v, want %v, %v", got, err, c.purged, c.want)
			}
			var left []string
			found, err := os.ReadDir(dir)
			if removed := errors.Is(err, os.ErrNotExist); removed != (c.want == nil && c.left == nil) {
				t.Errorf("the directory is removed: %v", removed)
			}
			for _, f := range found {
				left = append(left, f.Name())
			}
			if !slices.Equal(left, c.left) {
				t.Errorf("in the directory: %v, want %v", left, c.left)
			}
		})
	}
	if _, err := xdp.Purge(testns.PinDir(t), names); !errors.Is(err, lb.ErrNotFound) {
		t.Errorf("purge of nothing: %v", err)
	}
	if _, err := xdp.Purge(t.TempDir(), names); !errors.Is(err, lb.ErrUnsupported) {
		t.Errorf("purge of a directory on a disk: %v", err)
	}
}

// A directory is one process's at a time, also after somebody has removed it.
func TestDirIsLocked(t *testing.T) {
	path := pinned(t)
	d, err := xdp.OpenDir(path, names)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	refused := func(when string) {
		t.Helper()
		if other, err := xdp.OpenDir(path, names); !errors.Is(err, lb.ErrConflict) {
			t.Errorf("%s another process opens it: %v", when, err)
			other.Close()
		}
	}
	refused("at first")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := d.Relock(); err != nil {
		t.Fatal(err)
	}
	refused("made anew")
}
