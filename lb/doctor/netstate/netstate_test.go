package netstate

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"lbctl/lb"
	"lbctl/lb/doctor"
)

// one gathers an interface of the balancer.
func (w world) one(name string) doctor.Interface {
	w.Helper()
	f, err := Gather(Scope{Interfaces: []string{name}})
	if err != nil {
		w.Fatal(err)
	}
	return f.Interfaces[0]
}

func TestNoSuchInterface(t *testing.T) {
	_, err := Gather(Scope{Interfaces: []string{"lo", "none0"}})
	if !errors.Is(err, lb.ErrNotFound) || err.Error() != "not found: interface none0" {
		t.Errorf("got %v", err)
	}
}

func TestVeth(t *testing.T) {
	w := newWorld(t)
	i := w.one("cl")
	if i.Kind != "veth" || i.Driver != "veth" || i.Peer == nil || i.Peer.Name != "cl-p" || !i.Up || !i.Carrier || !i.Ethernet || i.MTU != 1500 || i.Queues != 1 {
		t.Errorf("cl: %+v", i)
	}
	if i.Features == nil || *i.Features&(doctor.Basic|doctor.Redirect|doctor.Transmit) != doctor.Basic|doctor.Redirect|doctor.Transmit {
		t.Errorf("features of cl: %v", i.Features)
	}
	if o := i.Peer.Offloads; !o["rx-gro"].On || o["rx-gro"].Fixed || o["tx-checksum-ip-generic"].On {
		t.Errorf("offloads of cl-p: %+v", o)
	}
	if lo := w.one("lo"); lo.Ethernet || !lo.Offloads["loopback"].Fixed {
		t.Errorf("lo: %+v", lo)
	}
}

// An interface that has the number of the other end in another namespace is not the other end.
func TestPeerElsewhere(t *testing.T) {
	w := newWorld(t)
	w.here(fmt.Sprintf("ip link add name decoy index %d type bridge", w.one("rp").PeerIndex))
	if i := w.one("rp"); i.Peer != nil {
		t.Errorf("the peer of rp is %s", i.Peer.Name)
	}
}

// What the checks say of programs is what there is: mode, name, link.
func TestAttached(t *testing.T) {
	w := newWorld(t)
	if i := w.one("cl"); i.XDP != (doctor.XDP{}) || i.Ours {
		t.Errorf("nothing attached: %+v", i.XDP)
	}
	w.attach(program, "cl", link.XDPDriverMode)
	if i := w.one("cl"); i.XDP.Mode != doctor.Native || i.XDP.Program != program || i.XDP.ID == 0 || i.XDP.Link == 0 || !i.Ours {
		t.Errorf("attached: %+v, ours %v", i.XDP, i.Ours)
	}
	// A daemon knows better than the name.
	for _, attached := range [][]string{nil, {"cl"}} {
		f, err := Gather(Scope{Interfaces: []string{"cl"}, Daemon: doctor.DaemonAnswers, Attached: attached})
		if err != nil || f.Interfaces[0].Ours != (attached != nil) {
			t.Errorf("the daemon attached %v: %v, %v", attached, f.Interfaces[0].Ours, err)
		}
	}
}

// The limit of the mtu check is the kernel's: a veth takes a native program up to it, and not beyond.
func TestNativeMTU(t *testing.T) {
	for mtu, fits := range map[int]bool{3506: true, 3507: false} {
		w := newWorld(t)
		w.here(fmt.Sprintf("ip link set dev cl mtu %d && ip link set dev cl-p mtu %[1]d", mtu))
		l, err := link.AttachXDP(link.XDPOptions{Program: w.program("any"), Interface: w.one("cl").Index, Flags: link.XDPDriverMode})
		if err == nil {
			l.Close()
		} else if !errors.Is(err, unix.ERANGE) {
			t.Errorf("attach: %v", err)
		}
		if (err == nil) != fits {
			t.Errorf("MTU %d with pages of %d bytes: %v", mtu, unix.Getpagesize(), err)
		}
		warned := false
		for _, x := range w.open(Scope{Interfaces: []string{"cl"}}) {
			warned = warned || x.Name == "mtu"
		}
		if warned == fits {
			t.Errorf("MTU %d: warned is %v", mtu, warned)
		}
	}
}

func TestIPv6Route(t *testing.T) {
	w := newWorld(t)
	w.here("ip address add 2001:db8:1::fe/64 dev rp nodad && ip neighbour replace 2001:db8:1::1 dev rp lladdr 02:00:00:00:00:01 nud permanent")
	// The kernel makes the address this machine's later, on a thread of its own.
	w.here("timeout 10 sh -c 'until ip -6 route show table local 2001:db8:1::fe | grep -q local; do :; done'")
	w.here("ip route add 2001:db8:2::/64 via 2001:db8:1::1 mtu 1400 && ip route add default via 2001:db8:1::1 mtu 1450 advmss 1300")
	replica := func(a string) Target { return Target{Address: netip.MustParseAddr(a), Mode: lb.NAT} }
	f, err := Gather(Scope{Interfaces: []string{"cl"}, Replicas: []Target{replica("2001:db8:1::1"), replica("2001:db8:2::2"), replica("2001:db8:1::fe"), replica("2001:db8:1::1")}})
	if err != nil {
		t.Fatal(err)
	}
	router, here := netip.MustParseAddr("2001:db8:1::1"), netip.MustParseAddr("2001:db8:1::fe")
	var routes []doctor.Route
	for _, r := range f.Replicas {
		routes = append(routes, r.Route)
	}
	if diff := cmp.Diff([]doctor.Route{
		{Kind: doctor.Routed, Interface: "rp", Source: here, MTU: 1500, Neighbour: "permanent"},
		{Kind: doctor.Routed, Interface: "rp", Gateway: router, Source: here, MTU: 1400, Neighbour: "permanent"},
		{Kind: doctor.Local},
	}, routes, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
	if want := (doctor.Default{Interface: "rp", Gateway: router, AdvMSS: 1300, MTU: 1450}); f.Default6 != want {
		t.Errorf("default route %+v, want %+v", f.Default6, want)
	}
	if len(f.Interfaces) != 2 || f.Interfaces[1].Name != "rp" || f.Interfaces[1].Named {
		t.Errorf("interfaces %+v: want rp as one that leads to replicas", f.Interfaces)
	}
}

// Routes are asked for as the packets do that come in: where rules know the interface, for each of those asked about.
func TestRoutesByIngress(t *testing.T) {
	w := newWorld(t)
	w.here("ip link add name c2 type veth peer name c2-p && ip link set dev c2 up && ip link set dev c2-p up && ip address add 10.3.0.254/24 dev c2")
	w.here("ip neighbour replace 10.1.0.9 dev rp lladdr 02:00:00:00:00:09 nud permanent && ip route add 10.1.0.1 via 10.1.0.9 dev rp table 100")
	w.here("ip rule add iif cl lookup 100")
	q := scope()
	f, err := Gather(q)
	if err != nil {
		t.Fatal(err)
	}
	if r := f.Replicas[0].Route; r.Gateway != netip.MustParseAddr("10.1.0.9") || r.Differs != "" {
		t.Errorf("from cl and rp: %+v, want by the gateway of cl's table", r)
	}
	q.Interfaces = append(q.Interfaces, "c2")
	const want = "rules have it differ by the interface that packets come in on, and all go as those from the first: " +
		"from cl by rp, via 10.1.0.9; from c2 by rp"
	all := w.open(q)
	if !slices.ContainsFunc(all, func(x doctor.Finding) bool { return label(x) == "problem 10.1.0.1 route" && x.Seen == want }) {
		t.Errorf("from c2, too: %+v", all)
	}
}
