package nexthop

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"lbctl/bpf"
	"lbctl/lb"
	"lbctl/lb/tables"
	"lbctl/lb/testns"

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
		var since Changes
		since.addRoute(c.news)
		var concerned []string
		for _, a := range addresses {
			if since.Routes(netip.MustParseAddr(a)) {
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
	var since Changes
	for i := range someRoutes + 1 {
		if since.Routes(netip.MustParseAddr("10.1.0.2")) {
			t.Errorf("after %d routes elsewhere it is concerned", i)
		}
		since.addRoute(routeNews(fmt.Sprintf("10.2.%d.0/24", i), unix.RTM_NEWROUTE, unix.RTN_UNICAST))
	}
	if !since.Routes(netip.MustParseAddr("10.1.0.2")) {
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
		"its name":   func(a *netlink.LinkAttrs, _ *netlink.LinkUpdate) { a.Name = "other" },
		"its master": func(a *netlink.LinkAttrs, _ *netlink.LinkUpdate) { a.MasterIndex = 8 },
		"another":    func(a *netlink.LinkAttrs, _ *netlink.LinkUpdate) { a.Index = 8 },
		"its end":    func(_ *netlink.LinkAttrs, u *netlink.LinkUpdate) { u.Header.Type = unix.RTM_DELLINK },
	} {
		t.Run(name, func(t *testing.T) {
			is, known, u := was, ports{7: portOf(&was)}, netlink.LinkUpdate{}
			change(&is, &u)
			u.Link = &netlink.Dummy{LinkAttrs: is}
			var since, again Changes
			changed := since.addLink(u, known)
			if want := name != "nothing" && name != "a program"; since.all != want || changed != want {
				t.Errorf("concerns all: %v, changed: %v, want %v", since.all, changed, want)
			}
			if again.addLink(u, known); again.all && name != "its end" {
				t.Error("and it is news again")
			}
		})
	}
}

// told is a follower that passes on what it is told. Its channels must be read.
type told struct {
	changed chan struct{}
	refresh chan Changes
}

func (f told) Changed()               { f.changed <- struct{}{} }
func (f told) Link(int, string, bool) {}
func (f told) Refresh(c Changes)      { f.refresh <- c }

// following returns a watcher of made-up messages, and what it is told.
func following(t *testing.T, n *news) (told, chan bool) {
	f := told{make(chan struct{}, 1<<16), make(chan Changes, 1<<16)}
	w := &Watcher{follower: f, log: slog.New(slog.DiscardHandler), done: make(chan struct{})}
	ended := make(chan bool, 1)
	w.running.Go(func() { ended <- w.follow(n) })
	t.Cleanup(w.Stop)
	return f, ended
}

func next[T any](t *testing.T, what string, c chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: nothing in 10 s", what)
	}
	return v
}

// Changes are told while messages keep coming.
func TestNewsWithoutEnd(t *testing.T) {
	n := &news{routes: make(chan netlink.RouteUpdate)}
	f, _ := following(t, n)
	for deadline := time.Now().Add(10 * time.Second); len(f.refresh) == 0; time.Sleep(debounce / 10) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is told")
		}
		n.routes <- routeNews("10.1.0.0/24", unix.RTM_NEWROUTE, unix.RTN_UNICAST)
	}
	c := next(t, "routes", f.refresh)
	if to := netip.MustParseAddr("10.1.0.2"); !c.Routes(to) || c.all {
		t.Errorf("%+v is told, want the route to %v", c, to)
	}
}

// After a message about a rule any route may be another one.
func TestNewsOfARule(t *testing.T) {
	n := &news{rules: make(chan struct{}, 1)}
	n.rules <- struct{}{}
	f, _ := following(t, n)
	if c := next(t, "a rule", f.refresh); !c.all {
		t.Errorf("%+v is told, want everything", c)
	}
}

// Messages about several neighbours at once are told for each, and the end of the subscription after them.
func TestNewsOfNeighbours(t *testing.T) {
	addresses := []string{"10.1.0.2", "10.1.0.3", "10.1.0.4"}
	n := &news{neighbours: make(chan netlink.NeighUpdate, len(addresses))}
	for _, a := range addresses {
		n.neighbours <- netlink.NeighUpdate{Neigh: netlink.Neigh{LinkIndex: 7, IP: netip.MustParseAddr(a).AsSlice()}}
	}
	close(n.neighbours)
	f, ended := following(t, n)
	if !next(t, "the end", ended) {
		t.Error("the end of the messages is not told")
	}
	close(f.refresh)
	concerned := map[Neighbour]bool{}
	for c := range f.refresh {
		for n := range c.neighbours {
			concerned[n] = true
		}
	}
	for _, a := range addresses {
		if !concerned[Neighbour{7, netip.MustParseAddr(a)}] {
			t.Errorf("the neighbour %s is not told", a)
		}
	}
}

// Every message is told at once.
func TestNewsIsTold(t *testing.T) {
	n := &news{
		neighbours: make(chan netlink.NeighUpdate), routes: make(chan netlink.RouteUpdate), rules: make(chan struct{}), links: make(chan netlink.LinkUpdate),
	}
	f, _ := following(t, n)
	for name, tell := range map[string]func(){
		"neighbour": func() { n.neighbours <- netlink.NeighUpdate{} },
		"route":     func() { n.routes <- netlink.RouteUpdate{} },
		"rule":      func() { n.rules <- struct{}{} },
		"link":      func() { n.links <- netlink.LinkUpdate{} },
	} {
		tell()
		next(t, "a message about a "+name, f.changed)
	}
}

// A follower of a real network is told of a neighbour, a route and a link, and then resolves the new next hop.
func TestWatch(t *testing.T) {
	testns.Enter(t)
	network, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(network.Close)
	f := told{make(chan struct{}, 1<<16), make(chan Changes, 1<<16)}
	w, err := Watch(network, f, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	to := netip.MustParseAddr("10.1.0.2")
	var hop tables.Hop
	becomes := func(what string, want func() bool) {
		t.Helper()
		for hop, _ = network.Gather().Resolve(to); !want(); hop, _ = network.Gather().Resolve(to) {
			next(t, what, f.refresh)
		}
	}
	state := func(s bpf.LbHopState) func() bool { return func() bool { return hop.State == uint8(s) } }
	becomes("no route", state(bpf.LbHopStateHOP_NONE))
	l := testns.Veth(t, "up", "10.1.0.1/24")
	becomes("a route", state(bpf.LbHopStateHOP_UNRESOLVED))
	mac := testns.Neighbour(t, l, "10.1.0.2")
	becomes("a neighbour", func() bool { return hop.State == uint8(bpf.LbHopStateHOP_RESOLVED) && hop.Destination == mac })
	if err := netlink.LinkSetMTU(l, 1400); err != nil {
		t.Fatal(err)
	}
	becomes("a smaller link", func() bool { return hop.Mtu == 1400 })
}

// The kernel drops messages that nobody reads in time. Then everything is looked at, once.
func TestLostNews(t *testing.T) {
	testns.Enter(t)
	network, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(network.Close)
	l := testns.Veth(t, "up", "10.1.0.1/24")
	f := told{make(chan struct{}, 1<<16), make(chan Changes)} // whoever tells of a change waits
	w, err := Watch(network, f, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	t.Cleanup(func() {
		go func() { w.Stop(); close(stopped) }()
		for {
			select {
			case <-f.refresh:
			case <-stopped:
				return
			}
		}
	})
	const more = 24_000 // than a channel and the buffer of a socket hold
	to := netip.MustParseAddr("10.1.0.2")
	for i := range more {
		testns.SetNeighbour(t, l.Attrs().Index, to, lb.MAC{2, 0, 0, 0, byte(i >> 8), byte(i)})
	}
	for c := next(t, "everything", f.refresh); !c.all; c = next(t, "everything", f.refresh) {
	}
}
