package store_test

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lbctl/control/intent"
	"lbctl/control/store"
	"lbctl/control/store/storetest"
	"lbctl/lb"
)

func open(t testing.TB, dir string) *store.Journal {
	t.Helper()
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestBoltKeepsTheContract(t *testing.T) {
	storetest.Contract(t, func(t testing.TB) (store.Store, func() store.Store) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		s := open(t, dir)
		return s, func() store.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, dir)
			return s
		}
	})
}

func TestMemoryKeepsTheContract(t *testing.T) {
	storetest.Contract(t, func(testing.TB) (store.Store, func() store.Store) {
		m := &storetest.Memory{}
		return m, func() store.Store { return m }
	})
}

// TestAChangeWritesWhatItChanges: one service among many, however many there are.
func TestAChangeWritesWhatItChanges(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	i := storetest.Intent(1000)
	before := int64(0)
	for n := range uint64(store.Kept + 50) {
		i.Services = slices.Clone(i.Services)
		i.Services[n].Seed = 7
		if _, err := s.Append(t.Context(), n, store.Revision{Intent: i}); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			before = end(t, dir)
		}
	}
	if grown := end(t, dir) - before; grown > 1000*(store.Kept+50) {
		t.Errorf("%d bytes for %d changes of one service", grown, store.Kept+49)
	}
}

// TestAChangeOfAPoolWritesThePool: and not the services that use it, however many there are.
func TestAChangeOfAPoolWritesThePool(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	i := storetest.Intent(1000)
	for n := range i.Services {
		i.Services[n].Pool = "all"
	}
	before := int64(0)
	for n := range uint64(20) {
		i, _ = i.WithPool(intent.Pool{Name: "all", Replicas: []intent.Replica{
			{Replica: lb.Replica{Address: netip.MustParseAddrPort("10.0.0.1:0"), Weight: 1}}, {Replica: lb.Replica{Address: netip.MustParseAddrPort("10.0.0.2:0"), Weight: uint16(n + 2)}}}})
		var err error
		if i, err = i.Linked(); err == nil {
			_, err = s.Append(t.Context(), n, store.Revision{Intent: i})
		}
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			before = end(t, dir)
		}
	}
	if grown := end(t, dir) - before; grown > 19*1000 {
		t.Errorf("%d bytes for 19 changes of one pool", grown)
	}
}

// end returns where the records end, as the header of the file says.
func end(t *testing.T, dir string) (at int64) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	var format, revision int
	if _, err := fmt.Sscanf(string(text), "lbctl state %d revision %d end %d", &format, &revision, &at); err != nil {
		t.Fatal(err)
	}
	return at
}

func TestSecondOpenIsAConflictThatNamesTheHolder(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	_, err := store.Open(dir)
	if !errors.Is(err, lb.ErrConflict) {
		t.Fatalf("error %v, want lb.ErrConflict", err)
	}
	for _, want := range []string{dir, fmt.Sprintf("process %d", os.Getpid())} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: does not say %s", err, want)
		}
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
		r, err := open(t, dir).Latest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r.Number < acknowledged || r.Number > acknowledged+1000 {
			t.Errorf("loaded revision %d, acknowledged %d", r.Number, acknowledged)
		}
		if len(r.Intent.Services) != int(r.Number)%10 {
			t.Errorf("revision %d has %d services", r.Number, len(r.Intent.Services))
		}
	}
}

// saveForever is the child: it prints every revision after it was saved.
func saveForever(t *testing.T, dir string) {
	s := open(t, dir)
	for n := uint64(1); ; n++ {
		if _, err := s.Append(t.Context(), n-1, store.Revision{Intent: storetest.Intent(int(n) % 10)}); err != nil {
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
