package decap

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lbctl/lb"
	"lbctl/lb/testns"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// The program of another build is replaced under its link, and so is one of which nobody knows.
func TestRenew(t *testing.T) {
	testns.Enter(t)
	l := testns.Veth(t, "eth", "10.1.0.1/24")
	dir := testns.PinDir(t)
	mustAttach(t, dir, "eth", Options{})
	at, err := placeOf(dir, l.Attrs().Index)
	if err != nil {
		t.Fatal(err)
	}
	for name, prepare := range map[string]func(old *ebpf.Program) error{
		"pinned": func(old *ebpf.Program) error {
			return errors.Join(os.Remove(filepath.Join(string(at), programPin)), old.Pin(filepath.Join(string(at), programPin)))
		},
		"not recorded": func(*ebpf.Program) error { return os.Remove(filepath.Join(string(at), programPin)) },
	} {
		old := testns.Program(t, "old_build")
		held, err := link.LoadPinnedLink(filepath.Join(string(at), fmt.Sprintf("link_%d", l.Attrs().Index)), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(held.Update(old), held.Close(), prepare(old)); err != nil {
			t.Fatal(err)
		}
		if is, _ := testns.Attached(t, "eth"); is != "old_build" {
			t.Fatalf("%s: the program is %q", name, is)
		}
		mustAttach(t, dir, "eth", Options{})
		is, id := testns.Attached(t, "eth")
		if is != "lb_decap" {
			t.Errorf("%s: after attach the program is %q", name, is)
		}
		mustAttach(t, dir, "eth", Options{})
		if _, again := testns.Attached(t, "eth"); again != id {
			t.Errorf("%s: the same program was replaced", name)
		}
	}
}

// Tables of another layout are not touched.
func TestOtherLayout(t *testing.T) {
	testns.Enter(t)
	l := testns.Veth(t, "eth", "10.1.0.1/24")
	dir := testns.PinDir(t)
	mustAttach(t, dir, "eth", Options{})
	at, err := placeOf(dir, l.Attrs().Index)
	if err != nil {
		t.Fatal(err)
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	pin := filepath.Join(string(at), "locals")
	if err := errors.Join(os.Remove(pin), m.Pin(pin)); err != nil {
		t.Fatal(err)
	}
	_, id := testns.Attached(t, "eth")
	if _, err := Attach(t.Context(), dir, "eth", Options{}); !errors.Is(err, lb.ErrConflict) || !strings.Contains(err.Error(), "detach first") {
		t.Errorf("attach: %v", err)
	}
	if _, now := testns.Attached(t, "eth"); now != id {
		t.Errorf("program %d instead of %d", now, id)
	}
	if err := Detach(t.Context(), dir, "eth"); err != nil {
		t.Error(err)
	}
	mustAttach(t, dir, "eth", Options{})
}
