package decap

import (
	"errors"
	"os"
	"testing"

	"lbctl/lb"

	"golang.org/x/sys/unix"
)

// Whatever is opened is closed again.
func TestClosesWhatItOpens(t *testing.T) {
	inNamespace(t)
	veth(t, "eth", "10.1.0.1/24")
	dir := pinDir(t)
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
	inNamespace(t)
	veth(t, "eth", "10.1.0.1/24")
	dir := pinDir(t)
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

// Who may not read the directory is told so.
func TestDirectoryDenied(t *testing.T) {
	inNamespace(t)
	veth(t, "eth", "10.1.0.1/24")
	dir := pinDir(t)
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
