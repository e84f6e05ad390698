package decap

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"lbctl/lb"
	"lbctl/lb/testns"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func mustAttach(t *testing.T, dir, name string, o Options) Interface {
	t.Helper()
	i, err := Attach(t.Context(), dir, name, o)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

var exact = []cmp.Option{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Interface{}, "Reasons")}

// An interface from attach to detach, with nothing left in between but pins, and nothing after.
func TestLife(t *testing.T) {
	testns.Enter(t)
	dir := testns.PinDir(t)
	if all, err := List(dir); err != nil || len(all) != 0 {
		t.Errorf("list before anything: %v, %v", all, err)
	}
	if err := Detach(t.Context(), dir, "lo"); !errors.Is(err, lb.ErrNotFound) {
		t.Errorf("detach before anything: %v", err)
	}
	l := testns.Veth(t, "eth", "10.1.0.1/24", "2001:db8:2::1/64")
	addresses1 := own(t, l)
	want := Interface{
		Interface: lb.Interface{Name: "eth", Index: l.Attrs().Index, Mode: lb.Native},
		Locals:    tidy(append(addresses("203.0.113.1"), addresses1...)), VIPs: addresses("192.0.2.1", "2001:db8::1"),
	}
	// In no order, twice, and one in its mapped form.
	o := Options{Locals: addresses("203.0.113.1"), VIPs: addresses("2001:db8::1", "::ffff:192.0.2.1", "192.0.2.1")}
	got := mustAttach(t, dir, "eth", o)
	if diff := cmp.Diff(want, got, exact...); diff != "" {
		t.Error("attached (-want +got):", diff)
	}
	runtime.GC() // of handles that nobody closed
	name, id := testns.Attached(t, "eth")
	if name != "lb_decap" {
		t.Fatalf("the interface has the program %q", name)
	}
	tables := mapsOf(t, dir, l)

	// Again: no change. The addresses are those that are asked for now.
	got = mustAttach(t, dir, "eth", o)
	if diff := cmp.Diff(want, got, exact...); diff != "" {
		t.Error("attached again (-want +got):", diff)
	}
	testns.AddAddress(t, l, "10.1.0.9/24")
	want.Locals, want.VIPs = tidy(append(addresses("10.1.0.9"), addresses1...)), addresses("192.0.2.2")
	mustAttach(t, dir, "eth", Options{VIPs: addresses("192.0.2.2")})
	if _, now := testns.Attached(t, "eth"); now != id {
		t.Errorf("program %d instead of %d after an attach without a change", now, id)
	}
	if diff := cmp.Diff(tables, mapsOf(t, dir, l)); diff != "" {
		t.Error("tables were made anew:", diff)
	}
	all, err := List(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Interface{want}, all, exact...); diff != "" {
		t.Error("list (-want +got):", diff)
	}
	if len(all[0].Reasons) != 14 || all[0].Reasons["decapsulated"].Packets != 0 {
		t.Errorf("reasons %v", all[0].Reasons)
	}

	detachTwice(t, dir, "eth")
}

// detachTwice detaches an interface, which leaves nothing; the second time it is not found.
func detachTwice(t *testing.T, dir, name string) {
	t.Helper()
	if err := Detach(t.Context(), dir, name); err != nil {
		t.Fatal(err)
	}
	if program, _ := testns.Attached(t, name); program != "" {
		t.Errorf("after detach the interface has the program %q", program)
	}
	nothingIn(t, dir)
	if err := Detach(t.Context(), dir, name); !errors.Is(err, lb.ErrNotFound) {
		t.Errorf("detach again: %v", err)
	}
}

func own(t *testing.T, l netlink.Link) (all []netip.Addr) {
	t.Helper()
	all, err := withOwn(l, nil)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// mapsOf returns the ids of the tables of an interface.
func mapsOf(t *testing.T, dir string, l netlink.Link) (ids []ebpf.MapID) {
	t.Helper()
	at, err := placeOf(dir, l.Attrs().Index)
	if err != nil {
		t.Fatal(err)
	}
	maps, err := at.maps()
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	for _, m := range []*ebpf.Map{maps.Locals, maps.Vips, maps.Policies, maps.ByReason} {
		info, err := m.Info()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := info.ID()
		ids = append(ids, id)
	}
	return ids
}

func nothingIn(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in %s: %v, %v", dir, left, err)
	}
}

// Pins of an interface that is gone, or of a process that was cut short, are nobody's.
func TestSweep(t *testing.T) {
	testns.Enter(t)
	testns.Veth(t, "eth", "10.1.0.1/24")
	gone := testns.Veth(t, "gone", "10.1.0.2/24")
	dir := testns.PinDir(t)
	mustAttach(t, dir, "eth", Options{})
	mustAttach(t, dir, "gone", Options{})
	if err := netlink.LinkDel(gone); err != nil {
		t.Fatal(err)
	}
	at, err := placeOf(dir, gone.Attrs().Index+100)
	if err != nil {
		t.Fatal(err)
	}
	cut, err := open(at) // tables, no link
	if err != nil {
		t.Fatal(err)
	}
	cut.close()
	all, err := List(dir)
	if err != nil || len(all) != 1 || all[0].Name != "eth" {
		t.Errorf("list: %v, %v, want eth alone", all, err)
	}
	mustAttach(t, dir, "eth", Options{})
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v, want one", left, err)
	}
}

// Two network namespaces share a BPF file system, and interfaces of the same index.
func TestNamespaces(t *testing.T) {
	testns.Enter(t)
	dir := testns.PinDir(t)
	first := testns.Veth(t, "eth", "10.1.0.1/24")
	mustAttach(t, dir, "eth", Options{VIPs: addresses("192.0.2.1")})
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		if all, err := List(dir); err != nil || len(all) != 0 {
			t.Errorf("list in another namespace: %v, %v", all, err)
		}
		second := netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth", Index: first.Attrs().Index, TxQLen: -1}, PeerName: "peer"}
		if err := netlink.LinkAdd(&second); err != nil {
			t.Error("add veth:", err)
			return
		}
		if _, err := Attach(context.Background(), dir, "eth", Options{Locals: addresses("10.1.0.1"), VIPs: addresses("192.0.2.2")}); err != nil {
			t.Error(err)
		}
		if err := Detach(context.Background(), dir, "eth"); err != nil {
			t.Error(err)
		}
	}()
	<-done
	all, err := List(dir)
	if err != nil || len(all) != 1 || len(all[0].VIPs) != 1 || all[0].VIPs[0] != vip4 {
		t.Errorf("list: %v, %v", all, err)
	}
	if name, _ := testns.Attached(t, "eth"); name != "lb_decap" {
		t.Errorf("the program is %q", name)
	}
}

// What others have made in the pin directory stays: decap removes the places of interfaces that are gone, and those alone.
func TestOthersPinsStay(t *testing.T) {
	testns.Enter(t)
	dir := testns.PinDir(t)
	testns.Veth(t, "eth", "10.1.0.1/24")
	mustAttach(t, dir, "eth", Options{})
	others := []string{dir + "/tc_globals", dir + "/1_2"}
	for _, other := range others {
		if err := os.Mkdir(other, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := testns.Program(t, "theirs").Pin(others[1] + "/theirs"); err != nil {
		t.Fatal(err)
	}
	if err := Detach(t.Context(), dir, "eth"); err != nil {
		t.Fatal(err)
	}
	for _, other := range others {
		if _, err := os.Stat(other); err != nil {
			t.Error(err)
		}
	}
}
