package repolint

import (
	"bytes"
	"go/format"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const top = "../.."

// The top level has these entries and dot-files, so that a stranger finds the rooms.
var entries = []string{"go.mod", "go.sum", "README.md", "bpf", "lb", "rss", "control", "cmd", "deploy", "testbed"}

func TestTopLevel(t *testing.T) {
	found, err := os.ReadDir(top)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, e := range found {
		have[e.Name()] = true
		if !strings.HasPrefix(e.Name(), ".") && e.Name() != "lbctl" && !slices.Contains(entries, e.Name()) {
			t.Errorf("%s does not belong at the top level", e.Name())
		}
	}
	for _, want := range entries {
		if !have[want] {
			t.Errorf("%s is missing at the top level", want)
		}
	}
}

// vague names say nothing about what is in a package.
var vague = []string{"util", "utils", "common", "types", "helpers", "misc", "internal"}

func TestFolderNames(t *testing.T) {
	walk(t, func(path string, d fs.DirEntry) {
		if d.IsDir() && slices.Contains(vague, d.Name()) {
			t.Errorf("%s: a name that says nothing", path)
		}
	})
}

func TestGofmt(t *testing.T) {
	walk(t, func(path string, d fs.DirEntry) {
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return
		}
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		formatted, err := format.Source(source)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		} else if !bytes.Equal(source, formatted) {
			t.Errorf("%s: gofmt would change it", path)
		}
	})
}

// walk visits everything but what begins with a dot.
func walk(t *testing.T, visit func(path string, d fs.DirEntry)) {
	t.Helper()
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(d.Name(), ".") && path != top {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		visit(path, d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
