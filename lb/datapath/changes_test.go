package datapath

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"lbctl/bpf"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routeNews is a message about a route to a prefix, or about the default route if the prefix is empty.
func routeNews(to string, message, kind int) netlink.RouteUpdate {
	u := netlink.RouteUpdate{Type: uint16(message), Route: netlink.Route{Type: kind}}
	if p, err := netip.ParsePrefix(to); err == nil {
		u.Dst = &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
	}
	return u
}

// A message about a route concerns the addresses behind it. Some messages leave the prefix out and concern
// all.
func TestRouteNews(t *testing.T) {
	const added, gone, unicast, local = unix.RTM_NEWROUTE, unix.RTM_DELROUTE, unix.RTN_UNICAST, unix.RTN_LOCAL
	addresses := []string{"10.1.0.2", "10.2.0.2", "2001:db8::2"}
	for _, c := range []struct {
		news      netlink.RouteUpdate
		concerned []string
	}{
		{routeNews("10.1.0.0/16", added, unicast), []string{"10.1.0.2"}},
		{routeNews("10.1.0.0/16", gone, unicast), []string{"10.1.0.2"}},
		{routeNews("0.0.0.0/0", added, unicast), []string{"10.1.0.2", "10.2.0.2"}},
		{routeNews("2001:db8::/64", added, unicast), []string{"2001:db8::2"}},
		{routeNews("fe80::1/128", added, local), nil},
		{routeNews("10.9.0.1/32", added, local), nil},
		{routeNews("10.9.0.1/32", gone, local), addresses},
		{routeNews("", added, unicast), addresses},
	} {
		var since changes
		since.route(c.news)
		var concerned []string
		for _, a := range addresses {
			if since.mayRoute(netip.MustParseAddr(a)) {
				concerned = append(concerned, a)
			}
		}
		if fmt.Sprint(concerned) != fmt.Sprint(c.concerned) || since.empty() {
			t.Errorf("%+v concerns %v, want %v", c.news, concerned, c.concerned)
		}
	}
}

// After so many messages that resolving everything is cheaper, everything is resolved.
func TestMuchRouteNews(t *testing.T) {
	var since changes
	for i := range someRoutes + 1 {
		if since.mayRoute(netip.MustParseAddr("10.1.0.2")) {
			t.Errorf("after %d routes elsewhere it is concerned", i)
		}
		since.route(routeNews(fmt.Sprintf("10.2.%d.0/24", i), unix.RTM_NEWROUTE, unix.RTN_UNICAST))
	}
	if !since.mayRoute(netip.MustParseAddr("10.1.0.2")) {
		t.Errorf("after %d routes it is not", someRoutes+1)
	}
}

// A message about a link matters only if something changed on which next hops depend.
func TestLinkNews(t *testing.T) {
	was := netlink.LinkAttrs{Index: 7, MTU: 1500, HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}, RawFlags: unix.IFF_UP}
	for name, change := range map[string]func(a *netlink.LinkAttrs, u *netlink.LinkUpdate){
		"nothing":    func(*netlink.LinkAttrs, *netlink.LinkUpdate) {},
		"a program":  func(a *netlink.LinkAttrs, _ *netlink.LinkUpdate) { a.Xdp = &netlink.LinkXdp{Attached: true} },
		"its MTU":    func(a *netlink.LinkAttrs, _ *netlink.LinkUpdate) { a.MTU = 9000 },
		"its MAC":    func(a *netlink.LinkAttrs, _ *netlink.LinkUpdate) { a.HardwareAddr = net.HardwareAddr{2, 0, 0, 0, 0, 2} },
		"up or down": func(a *netlink.LinkAttrs, _ *netlink.LinkUpdate) { a.RawFlags = 0 },
		"carrier":    func(a *netlink.LinkAttrs, _ *netlink.LinkUpdate) { a.OperState = netlink.OperDown },
		"its master": func(a *netlink.LinkAttrs, _ *netlink.LinkUpdate) { a.MasterIndex = 8 },
		"another":    func(a *netlink.LinkAttrs, _ *netlink.LinkUpdate) { a.Index = 8 },
		"its end":    func(_ *netlink.LinkAttrs, u *netlink.LinkUpdate) { u.Header.Type = unix.RTM_DELLINK },
	} {
		t.Run(name, func(t *testing.T) {
			is, known, u := was, ports{7: portOf(&was)}, netlink.LinkUpdate{}
			change(&is, &u)
			u.Link = &netlink.Dummy{LinkAttrs: is}
			var since, again changes
			since.link(u, known)
			if want := name != "nothing" && name != "a program"; since.all != want {
				t.Errorf("concerns all: %v, want %v", since.all, want)
			}
			if again.link(u, known); again.all && name != "its end" {
				t.Error("and it is news again")
			}
		})
	}
}

// Next hops are resolved while messages keep coming.
func TestNewsWithoutEnd(t *testing.T) {
	inNamespace(t)
	d := open(t, Options{manualClock: true})
	if err := d.SetService(t.Context(), web("192.0.2.1:80", "10.1.0.2:80")); err != nil {
		t.Fatal(err)
	}
	l := veth(t, "up", "10.1.0.1/24")
	neighbourAt(t, l, "10.1.0.2")
	d.watch = &watch{stopped: make(chan struct{})}
	n := &news{routes: make(chan netlink.RouteUpdate)}
	d.watch.done.Go(func() { d.follow(n) })
	before := hopTo(t, d, "10.1.0.2:80")
	for deadline := time.Now().Add(10 * time.Second); hopTo(t, d, "10.1.0.2:80") == before; time.Sleep(debounce / 10) {
		if time.Now().After(deadline) {
			t.Fatalf("the next hop is still %+v", before)
		}
		n.routes <- routeNews("10.1.0.0/24", unix.RTM_NEWROUTE, unix.RTN_UNICAST)
	}
}

// hopTo returns the next hop of a replica of 192.0.2.1:80.
func hopTo(t *testing.T, d *Datapath, replica string) nextHop {
	t.Helper()
	unlock, err := d.lock()
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	return hopInUse(&d.tables.replicas.rows[d.services[web("192.0.2.1:80").VIP].ids[netip.MustParseAddrPort(replica)]])
}

// Messages about several neighbours at once are acted on for each.
func TestNewsOfNeighbours(t *testing.T) {
	inNamespace(t)
	d := open(t, Options{manualClock: true})
	l := veth(t, "up", "10.1.0.1/24")
	replicas := []string{"10.1.0.2:80", "10.1.0.3:80", "10.1.0.4:80"}
	if err := d.SetService(t.Context(), web("192.0.2.1:80", replicas...)); err != nil {
		t.Fatal(err)
	}
	n := &news{neighbours: make(chan netlink.NeighUpdate, len(replicas))}
	for _, r := range replicas {
		a := netip.MustParseAddrPort(r).Addr()
		neighbourAt(t, l, a.String())
		n.neighbours <- netlink.NeighUpdate{Neigh: netlink.Neigh{LinkIndex: l.Attrs().Index, IP: a.AsSlice()}}
	}
	close(n.neighbours)
	d.watch = &watch{stopped: make(chan struct{})}
	if !d.follow(n) {
		t.Error("the end of the news is not told")
	}
	for _, r := range replicas {
		if next := hopTo(t, d, r); next.hop.State != uint8(bpf.LbHopStateHOP_RESOLVED) {
			t.Errorf("the next hop of %s: %+v", r, next)
		}
	}
}

// A change of a link's MTU is told by a message about the link alone.
func TestLinkSizeFollows(t *testing.T) {
	inNamespace(t)
	l := veth(t, "up", "10.1.0.1/24")
	d := open(t, Options{})
	if err := d.SetService(t.Context(), web("192.0.2.1:80", "10.1.0.2:80")); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetMTU(l, 1400); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); hopTo(t, d, "10.1.0.2:80").hop.Mtu != 1400; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the next hop is still %+v", hopTo(t, d, "10.1.0.2:80"))
		}
	}
}
