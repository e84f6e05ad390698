package datapath

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"lbctl/bpf/need"
	"lbctl/lb"
	"lbctl/lb/xdp"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// inNamespace puts the test's thread into a network namespace of its own. The namespace ends with the test:
// the thread is never unlocked, so it ends with its goroutine.
func inNamespace(t testing.TB) {
	t.Helper()
	need.Root(t)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal("unshare network namespace:", err)
	}
	up(t, "lo")
	sysctl(t, "net/ipv4/ip_forward", "1")
	sysctl(t, "net/ipv6/conf/all/forwarding", "1")
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

// veth makes the pair name, name-peer with the addresses on the first, both up.
func veth(t testing.TB, name string, addresses ...string) netlink.Link {
	t.Helper()
	a := netlink.NewLinkAttrs()
	a.Name = name
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: name + "-peer"}); err != nil {
		t.Fatal("add veth:", err)
	}
	sysctl(t, "net/ipv6/conf/"+name+"-peer/disable_ipv6", "1") // no chatter to count
	up(t, name+"-peer")
	l := up(t, name)
	for _, address := range addresses {
		at, err := netlink.ParseAddr(address)
		if err != nil {
			t.Fatal(err)
		}
		at.Flags = unix.IFA_F_NODAD
		if err := netlink.AddrAdd(l, at); err != nil {
			t.Fatal("add address", address, err)
		}
	}
	return l
}

// neighbourAt makes a permanent neighbour whose MAC ends in the address's last byte.
func neighbourAt(t testing.TB, l netlink.Link, address string) lb.MAC {
	t.Helper()
	a := netip.MustParseAddr(address)
	mac := lb.MAC{2, 0, 0, 0, 0, a.AsSlice()[a.BitLen()/8-1]}
	err := netlink.NeighSet(&netlink.Neigh{
		LinkIndex: l.Attrs().Index, Family: family(a), State: netlink.NUD_PERMANENT,
		IP: a.AsSlice(), HardwareAddr: net.HardwareAddr(mac[:]),
	})
	if err != nil {
		t.Fatal("set neighbour", address, err)
	}
	return mac
}

// open opens a datapath in a pin directory of its own.
func open(t testing.TB, o Options) *Datapath {
	t.Helper()
	if o.Dir == "" {
		o.Dir = pinDir(t)
	}
	d, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error("close:", err)
		}
	})
	return d
}

// pinDir names a pin directory that is purged when the test is over.
func pinDir(t testing.TB) string {
	t.Helper()
	dir := fmt.Sprintf("%s/lbctl-test-%d-%d", xdp.Root, os.Getpid(), unix.Gettid())
	t.Cleanup(func() {
		if err := Purge(dir); err != nil {
			t.Error("purge:", err)
		}
	})
	return dir
}

func web(vip string, replicas ...string) lb.Service {
	s := lb.Service{VIP: lb.VIP{Address: netip.MustParseAddrPort(vip), Protocol: 6}}
	for _, r := range replicas {
		s.Replicas = append(s.Replicas, lb.Replica{Address: netip.MustParseAddrPort(r)})
	}
	return s.WithDefaults()
}
