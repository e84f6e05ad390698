package decap

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"lbctl/bpf/need"
	"lbctl/lb/xdp"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// inNamespace puts the test's thread into a network namespace of its own, which
// goes with the test: the thread is never unlocked, so it ends with the goroutine.
func inNamespace(t testing.TB) {
	t.Helper()
	need.Root(t)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal("unshare network namespace:", err)
	}
	up(t, "lo")
	sysctl(t, "net/ipv6/conf/default/accept_dad", "0")
}

func sysctl(t testing.TB, name, value string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

func up(t testing.TB, name string) netlink.Link {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal("find", name, err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		t.Fatal("set up", name, err)
	}
	return l
}

// veth makes the pair name, name-peer with the addresses on the first, both up. IPv6 of the
// peer is off, so that nothing chatters.
func veth(t testing.TB, name string, addresses ...string) netlink.Link {
	t.Helper()
	a := netlink.NewLinkAttrs()
	a.Name = name
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: name + "-peer"}); err != nil {
		t.Fatal("add veth:", err)
	}
	sysctl(t, "net/ipv6/conf/"+name+"-peer/disable_ipv6", "1")
	up(t, name+"-peer")
	l := up(t, name)
	for _, address := range addresses {
		addAddress(t, l, address)
	}
	return l
}

func addAddress(t testing.TB, l netlink.Link, address string) {
	t.Helper()
	at, err := netlink.ParseAddr(address)
	if err != nil {
		t.Fatal(err)
	}
	if at.IP.To4() == nil {
		at.Flags = unix.IFA_F_NODAD
	}
	if err := netlink.AddrAdd(l, at); err != nil {
		t.Fatal("add address", address, err)
	}
}

// pinDir names a pin directory that is gone when the test is over.
func pinDir(t testing.TB) string {
	t.Helper()
	need.Root(t)
	dir := fmt.Sprintf("%s/lbctl-decap-test-%d-%d", xdp.Root, os.Getpid(), unix.Gettid())
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error("remove pins:", err)
		}
	})
	return dir
}

func addresses(all ...string) (parsed []netip.Addr) {
	for _, a := range all {
		parsed = append(parsed, netip.MustParseAddr(a))
	}
	return parsed
}

func setting(t *testing.T, name string, otherwise uint64) uint64 {
	value, ok := os.LookupEnv(name)
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q: want a number", name, value)
	}
	return n
}
