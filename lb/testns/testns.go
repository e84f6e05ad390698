// Package testns puts a test that needs the kernel into a network namespace of its own, with links,
// addresses, neighbours and a pin directory; and reads what an environment variable sets for it. Only tests import it.
package testns

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"lbctl/bpf/need"
	"lbctl/lb"
	"lbctl/lb/xdp"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Enter puts the test's thread into a network namespace of its own, which goes with the test: the thread
// is never unlocked, so it ends with the goroutine.
func Enter(t testing.TB) {
	t.Helper()
	need.Root(t)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal("unshare network namespace:", err)
	}
	Up(t, "lo")
	Sysctl(t, "net/ipv6/conf/default/accept_dad", "0")
}

// OldKernel has uname(2) tell the test's thread, which it locks for good, that the kernel is a Linux 2.6 (personality(2)).
func OldKernel(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	const uname26 = 0x20000
	if _, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, uname26, 0, 0); errno != 0 {
		t.Fatal("set personality:", errno)
	}
}

// Sysctl writes a setting, named by its path below /proc/sys.
func Sysctl(t testing.TB, name, value string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

// Up sets an interface up.
func Up(t testing.TB, name string) netlink.Link {
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

// Veth makes the pair name, name-peer with the addresses on the first, both up. IPv6 of the peer is off:
// its neighbour discovery would disturb counters.
func Veth(t testing.TB, name string, addresses ...string) netlink.Link {
	t.Helper()
	a := netlink.NewLinkAttrs()
	a.Name = name
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: name + "-peer"}); err != nil {
		t.Fatal("add veth:", err)
	}
	Sysctl(t, "net/ipv6/conf/"+name+"-peer/disable_ipv6", "1")
	Up(t, name+"-peer")
	l := Up(t, name)
	for _, address := range addresses {
		AddAddress(t, l, address)
	}
	return l
}

// AddAddress gives an interface an address with its prefix length. An IPv6 one is usable at once.
func AddAddress(t testing.TB, l netlink.Link, address string) {
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
	if at.IP.To4() == nil {
		awaitLocal(t, at.IP)
	}
}

// awaitLocal waits for the route of an IPv6 address of this host: the kernel's workers make it, on a busy machine milliseconds later.
func awaitLocal(t testing.TB, a net.IP) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		routes, err := netlink.RouteGet(a)
		if err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v is not this host's: %v, %v", a, routes, err)
		}
	}
}

// SetMTU sets the MTU of both ends of a veth.
func SetMTU(t testing.TB, name string, mtu int) {
	t.Helper()
	for _, end := range []string{name + "-peer", name} {
		l, err := netlink.LinkByName(end)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetMTU(l, mtu); err != nil {
			t.Fatal("set MTU of", end, err)
		}
	}
}

// Neighbour makes a permanent neighbour whose MAC ends in the address's last byte.
func Neighbour(t testing.TB, l netlink.Link, address string) lb.MAC {
	t.Helper()
	a := netip.MustParseAddr(address)
	mac := lb.MAC{2, 0, 0, 0, 0, a.AsSlice()[a.BitLen()/8-1]}
	SetNeighbour(t, l.Attrs().Index, a, mac)
	return mac
}

// SetNeighbour makes a permanent neighbour on a link, or gives it another MAC.
func SetNeighbour(t testing.TB, link int, a netip.Addr, mac lb.MAC) {
	t.Helper()
	setNeighbour(t, link, a, mac, netlink.NUD_PERMANENT)
}

// StaleNeighbour makes a neighbour of which the kernel has not heard for a while.
func StaleNeighbour(t testing.TB, link int, a netip.Addr, mac lb.MAC) {
	t.Helper()
	setNeighbour(t, link, a, mac, netlink.NUD_STALE)
}

func setNeighbour(t testing.TB, link int, a netip.Addr, mac lb.MAC, state int) {
	t.Helper()
	family := unix.AF_INET6
	if a.Is4() {
		family = unix.AF_INET
	}
	err := netlink.NeighSet(&netlink.Neigh{
		LinkIndex: link, Family: family, State: state, IP: a.AsSlice(), HardwareAddr: net.HardwareAddr(mac[:]),
	})
	if err != nil {
		t.Fatal("set neighbour", a, err)
	}
}

// PinDir names a directory on the BPF file system that is removed when the test is over.
func PinDir(t testing.TB) string {
	t.Helper()
	need.Root(t)
	dir := fmt.Sprintf("%s/lbctl-test-%d-%d", xdp.Root, os.Getpid(), unix.Gettid())
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error("remove pins:", err)
		}
	})
	return dir
}

// Program loads an XDP program that passes everything.
func Program(t testing.TB, name string) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: name, Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}, // XDP_PASS
	})
	if err != nil {
		t.Fatal("load program:", err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// Attached returns the name and id of the XDP program on an interface, "" and 0 if there is none.
func Attached(t testing.TB, device string) (string, uint32) {
	t.Helper()
	l, err := netlink.LinkByName(device)
	if err != nil {
		t.Fatal(err)
	}
	x := l.Attrs().Xdp
	if x == nil || !x.Attached {
		return "", 0
	}
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(x.ProgId))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	return info.Name, x.ProgId
}

// Setting returns the number in an environment variable, otherwise if it is not set.
func Setting(t testing.TB, name string, otherwise uint64) uint64 {
	t.Helper()
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
