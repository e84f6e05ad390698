package decap

import (
	"context"
	"os"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Pins of an interface that is gone, or of a process that was cut short, are nobody's.
func TestSweep(t *testing.T) {
	inNamespace(t)
	veth(t, "eth", "10.1.0.1/24")
	gone := veth(t, "gone", "10.1.0.2/24")
	dir := pinDir(t)
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
	inNamespace(t)
	dir := pinDir(t)
	first := veth(t, "eth", "10.1.0.1/24")
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
	if name, _ := holder(t, "eth"); name != "lb_decap" {
		t.Errorf("the program is %q", name)
	}
}
