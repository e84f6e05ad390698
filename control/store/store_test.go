package store_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"lbctl/control/config"
	"lbctl/control/intent"
	"lbctl/control/store"
	"lbctl/control/wire"
	"lbctl/lb"
)

// withServices returns an intent whose content tells its revision: n services.
func withServices(t *testing.T, n int) intent.Intent {
	t.Helper()
	var text strings.Builder
	text.WriteString("services:\n")
	for i := range n {
		fmt.Fprintf(&text, "  - {name: s%d, vip: \"192.0.2.1:%d\", replicas: [{address: \"10.0.0.1:%d\"}]}\n", i, i+1, i+1)
	}
	f, err := config.Parse("test", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	in, err := wire.Resolve(f.Config, intent.Default())
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func open(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestLoadOfNothing(t *testing.T) {
	r, err := open(t, filepath.Join(t.TempDir(), "new")).Load()
	if err != nil {
		t.Fatal(err)
	}
	if r.Revision != 0 || !r.Intent.Equal(intent.Default()) {
		t.Errorf("got %+v, want revision 0 and the default", r)
	}
}

func TestSaveOutlivesClose(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	want := store.Record{Revision: 7, Intent: withServices(t, 3)}
	if err := s.Save(want); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := open(t, dir).Load()
	if err != nil {
		t.Fatal(err)
	}
	if got.Revision != 7 || !got.Intent.Equal(want.Intent) {
		t.Errorf("loaded %s", cmp.Diff(wire.Config(want.Intent), wire.Config(got.Intent)))
	}
}

// TestSavesFollowEachOther: whatever was saved before, and by which process, what is loaded is what was saved last.
func TestSavesFollowEachOther(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	four := withServices(t, 4)
	turned := four
	turned.Services = slices.Clone(four.Services)
	slices.Reverse(turned.Services)
	edited := turned
	edited.Services = slices.Clone(turned.Services[1:])
	edited.Services[0].Service = edited.Services[0].Clone()
	edited.Services[0].Replicas[0].Weight, edited.Services[0].Name = 1, "renamed"
	slower := edited
	slower.Services = slices.Clone(edited.Services)
	slower.Services[1].Idle *= 2
	var last intent.Intent
	for i, in := range []intent.Intent{withServices(t, 2), four, turned, edited, slower, intent.Default(), four, intent.Default(), edited} {
		if i%3 == 2 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if got := entries(t, dir); got != len(last.Services) {
				t.Errorf("before save %d: %d services on disk, want %d", i, got, len(last.Services))
			}
			s = open(t, dir)
		}
		last = in
		want := store.Record{Revision: uint64(i + 1), Intent: in}
		if err := s.Save(want); err != nil {
			t.Fatal(err)
		}
		got, err := s.Load()
		if err != nil {
			t.Fatal(err)
		}
		if got.Revision != want.Revision || !got.Intent.Equal(in) {
			t.Errorf("save %d: loaded revision %d, %s", i, got.Revision, cmp.Diff(wire.Config(in), wire.Config(got.Intent)))
		}
	}
}

// entries counts the services in the file of a closed store.
func entries(t *testing.T, dir string) (n int) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, "state.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("services")).ForEach(func(_, _ []byte) error { n++; return nil })
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestLoadOfARecordThatLacksAService: half a state is none.
func TestLoadOfARecordThatLacksAService(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "state.db"), strings.Replace(before, `{"format":1`, `{"services":["web"],"format":3`, 1))
	if _, err := open(t, dir).Load(); !errors.Is(err, lb.ErrInvalid) || !strings.Contains(err.Error(), "web") {
		t.Errorf("%v, want lb.ErrInvalid about web", err)
	}
}

func TestSecondOpenIsAConflictThatNamesTheHolder(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	_, err := store.Open(dir)
	if !errors.Is(err, lb.ErrConflict) {
		t.Fatalf("error %v, want lb.ErrConflict", err)
	}
	for _, want := range []string{filepath.Join(dir, "state.db"), fmt.Sprintf("process %d", os.Getpid())} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: does not say %s", err, want)
		}
	}
}

func TestOpenOfAFileThatIsNoState(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "state.db"), []byte(strings.Repeat("no state\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(dir); !errors.Is(err, lb.ErrInvalid) {
		t.Errorf("error %v, want lb.ErrInvalid", err)
	}
}

// TestKillBetweenSaves kills a process that saves as fast as it can, and finds
// a whole record, at least as new as the last one that was acknowledged.
func TestKillBetweenSaves(t *testing.T) {
	if dir := os.Getenv("STORE_TEST_CHILD"); dir != "" {
		saveForever(t, dir)
	}
	for round := range 5 {
		dir := t.TempDir()
		acknowledged := killAfter(t, dir, 10+7*round)
		r, err := open(t, dir).Load()
		if err != nil {
			t.Fatal(err)
		}
		if r.Revision < acknowledged || r.Revision > acknowledged+1000 {
			t.Errorf("loaded revision %d, acknowledged %d", r.Revision, acknowledged)
		}
		if len(r.Intent.Services) != int(r.Revision)%10 {
			t.Errorf("revision %d has %d services", r.Revision, len(r.Intent.Services))
		}
	}
}

// saveForever is the child: it prints every revision after it was saved.
func saveForever(t *testing.T, dir string) {
	s := open(t, dir)
	for n := uint64(1); ; n++ {
		if err := s.Save(store.Record{Revision: n, Intent: withServices(t, int(n)%10)}); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("saved %d\n", n)
	}
}

// killAfter kills a child after it acknowledged n saves, and returns the last it did.
func killAfter(t *testing.T, dir string, n int) uint64 {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestKillBetweenSaves$")
	child.Env = append(os.Environ(), "STORE_TEST_CHILD="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var last uint64
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), "saved ") {
			continue // the kill cut a line
		}
		if _, err := fmt.Sscanf(lines.Text(), "saved %d", &last); err != nil {
			t.Fatal(err)
		}
		if last == uint64(n) {
			child.Process.Kill()
		}
	}
	child.Wait()
	return last
}
