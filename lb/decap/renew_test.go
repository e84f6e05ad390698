package decap

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"lbctl/lb/testns"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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

// A table of another layout is replaced by the one of this build with the program that needs it, by an update of the link; the
// others stay. A process that ends in between leaves one of the two.
func TestOtherLayout(t *testing.T) {
	testns.Enter(t)
	l := testns.Veth(t, "eth", "10.1.0.1/24")
	dir := testns.PinDir(t)
	before := mustAttach(t, dir, "eth", Options{})
	at, err := placeOf(dir, l.Attrs().Index)
	if err != nil {
		t.Fatal(err)
	}
	first := linkID(t, at, l.Attrs().Index)
	for name, cut := range map[string]func(*unit) error{
		"not":               nil,
		"before the update": func(u *unit) error { return u.dir.PinNext(u.hook, u.LbDecap) },
		"after the update": func(u *unit) error {
			return errors.Join(u.dir.PinNext(u.hook, u.LbDecap), u.hook.Update(u.LbDecap, nil))
		},
		"before anything is in": func(*unit) error { return nil },
	} {
		m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		pin := filepath.Join(string(at), "locals")
		if err := errors.Join(os.Remove(pin), m.Pin(pin)); err != nil {
			t.Fatal(err)
		}
		_, old := testns.Attached(t, "eth")
		if cut != nil {
			u, err := open(at)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(u.fill(Options{Locals: before.Locals}), cut(u), u.close()); err != nil {
				t.Fatal(err)
			}
		}
		after := mustAttach(t, dir, "eth", Options{})
		after.Reasons = before.Reasons // neighbours send packets of their own
		if diff := cmp.Diff(before, after, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("interrupted %s: (-before +after): %s", name, diff)
		}
		if is, now := testns.Attached(t, "eth"); is != "lb_decap" || now == old {
			t.Errorf("interrupted %s: program %s, %d after %d", name, is, now, old)
		}
		if now := linkID(t, at, l.Attrs().Index); now != first {
			t.Errorf("interrupted %s: link %d, was %d", name, now, first)
		}
		pins, err := os.ReadDir(string(at))
		if err != nil || len(pins) != 7 { // link, program, five tables
			t.Errorf("interrupted %s: %v, %v", name, pins, err)
		}
	}
	if err := Detach(t.Context(), dir, "eth"); err != nil {
		t.Error(err)
	}
}

// linkID is the number of the pinned link of an interface.
func linkID(t *testing.T, at place, index int) link.ID {
	t.Helper()
	held, err := link.LoadPinnedLink(filepath.Join(string(at), fmt.Sprintf("link_%d", index)), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	info, err := held.Info()
	if err != nil {
		t.Fatal(err)
	}
	return info.ID
}
