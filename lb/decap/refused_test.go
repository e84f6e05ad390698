package decap

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"lbctl/lb"
	"lbctl/lb/testns"

	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestAttachRefused(t *testing.T) {
	testns.Enter(t)
	dir := testns.PinDir(t)
	for _, name := range []string{"eth", "taken", "jumbo"} {
		testns.Veth(t, name, "10.1.0.1/24")
	}
	testns.Veth(t, "bare")
	testns.Sysctl(t, "net/ipv6/conf/bare/disable_ipv6", "1")
	hold(t, "taken", "squatter")
	testns.SetMTU(t, "jumbo", 9000)
	mustAttach(t, dir, "eth", Options{})
	for _, c := range []struct {
		name, device string
		options      Options
		want         error
		says         string
	}{
		{"no such interface", "none", Options{}, lb.ErrNotFound, "interface none"},
		{"another program", "taken", Options{}, lb.ErrConflict, `taken already has the XDP program "squatter"`},
		{"another mode", "eth", Options{Mode: lb.Generic}, lb.ErrConflict, "eth is attached in mode native"},
		{"a large MTU", "jumbo", Options{Mode: lb.Native}, lb.ErrUnsupported, "MTU 9000"},
		{"no address", "bare", Options{}, lb.ErrInvalid, "bare has no address"},
		{"a nameless mode", "eth", Options{Mode: "fast"}, lb.ErrInvalid, `"fast"`},
		{"a VIP of nobody", "eth", Options{VIPs: addresses("0.0.0.0")}, lb.ErrInvalid, "0.0.0.0"},
		{"a VIP of many", "eth", Options{VIPs: addresses("ff02::1")}, lb.ErrInvalid, "ff02::1"},
		{"a local with a zone", "eth", Options{Locals: addresses("fe80::1%eth")}, lb.ErrInvalid, "fe80::1%eth"},
		{"no address at all", "eth", Options{Locals: []netip.Addr{{}}}, lb.ErrInvalid, "invalid IP"},
	} {
		before, err := List(dir)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Attach(t.Context(), dir, c.device, c.options)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v that says %s", c.name, err, c.want, c.says)
		}
		after, err := List(dir)
		if diff := cmp.Diff(before, after, exact...); diff != "" || err != nil {
			t.Errorf("%s: changed %s, %v", c.name, diff, err)
		}
	}
	if err := Detach(t.Context(), dir, "eth"); err != nil {
		t.Fatal(err)
	}
	nothingIn(t, dir) // of those that were refused
}

// Auto becomes generic where the driver refuses, and says so.
func TestAuto(t *testing.T) {
	testns.Enter(t)
	testns.Veth(t, "jumbo", "10.1.0.1/24")
	testns.SetMTU(t, "jumbo", 9000)
	dir := testns.PinDir(t)
	i := mustAttach(t, dir, "jumbo", Options{})
	if i.Mode != lb.Generic || len(i.Notes) != 1 || !strings.Contains(i.Notes[0], "MTU 9000") {
		t.Errorf("attached %+v", i)
	}
	if i = mustAttach(t, dir, "jumbo", Options{Mode: lb.Generic}); i.Mode != lb.Generic || len(i.Notes) != 0 {
		t.Errorf("attached again %+v", i)
	}
}

func hold(t *testing.T, device, program string) {
	t.Helper()
	l, err := link.AttachXDP(link.XDPOptions{Program: testns.Program(t, program), Interface: testns.Up(t, device).Attrs().Index})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

// Whatever is opened is closed again.
func TestClosesWhatItOpens(t *testing.T) {
	testns.Enter(t)
	testns.Veth(t, "eth", "10.1.0.1/24")
	dir := testns.PinDir(t)
	descriptors := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	var before int
	for range 3 { // the runtime opens its own at first use
		before = descriptors()
		mustAttach(t, dir, "eth", Options{})
		mustAttach(t, dir, "eth", Options{})
		if _, err := Attach(t.Context(), dir, "eth", Options{Mode: lb.Generic}); err == nil {
			t.Error("attached in two modes")
		}
		if _, err := List(dir); err != nil {
			t.Error(err)
		}
		if err := Detach(t.Context(), dir, "eth"); err != nil {
			t.Error(err)
		}
	}
	if after := descriptors(); after != before {
		t.Errorf("%d descriptors open, before %d", after, before)
	}
}

// Without privileges nothing is done, and the error says why.
func TestDenied(t *testing.T) {
	testns.Enter(t)
	testns.Veth(t, "eth", "10.1.0.1/24")
	dir := testns.PinDir(t)
	mustAttach(t, dir, "eth", Options{})
	// Both are the thread's, which ends with the test.
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := Attach(t.Context(), dir, "eth", Options{}); !errors.Is(err, lb.ErrDenied) {
		t.Errorf("attach without capabilities: %v", err)
	}
}

// A user who may not read the directory is told so.
func TestDirectoryDenied(t *testing.T) {
	testns.Enter(t)
	testns.Veth(t, "eth", "10.1.0.1/24")
	dir := testns.PinDir(t)
	mustAttach(t, dir, "eth", Options{})
	const nobody = 65534
	if _, err := unix.SetfsuidRetUid(nobody); err != nil { // the thread's, too
		t.Fatal(err)
	}
	_, list := List(dir)
	_, attach := Attach(t.Context(), dir, "eth", Options{})
	for name, err := range map[string]error{"list": list, "attach": attach, "detach": Detach(t.Context(), dir, "eth")} {
		if !errors.Is(err, lb.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := unix.SetfsuidRetUid(0); err != nil {
		t.Fatal(err)
	}
}

// An old kernel is refused before anything is made.
func TestOldKernel(t *testing.T) {
	testns.Enter(t)
	dir := testns.PinDir(t)
	testns.Veth(t, "eth", "10.1.0.1/24")
	testns.OldKernel(t)
	if _, err := Attach(t.Context(), dir, "eth", Options{}); !errors.Is(err, lb.ErrUnsupported) || !strings.Contains(err.Error(), "Linux 2.6.") {
		t.Errorf("attach: %v, want it refused for the kernel, by name", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pin directory: %v, want none", err)
	}
}
