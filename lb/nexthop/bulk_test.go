package nexthop

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"

	"lbctl/bpf/need"
	"lbctl/lb/testns"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestRoutesInBulk: many routes at once are what netlink.RouteGet finds one by one, also of addresses that have none.
func TestRoutesInBulk(t *testing.T) {
	need.Root(t)
	testns.Enter(t)
	testns.Up(t, "lo")
	link := testns.Veth(t, "up", "10.1.0.1/24", "2001:db8:1::1/64")
	network, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer network.Close()
	for to, r := range map[string]netlink.Route{
		"10.2.0.0/16":      {Gw: net.ParseIP("10.1.0.2")},
		"10.3.0.0/16":      {Gw: net.ParseIP("10.1.0.3"), MTU: 1300},
		"10.4.0.0/16":      {Type: unix.RTN_UNREACHABLE},
		"10.5.0.0/16":      {Type: unix.RTN_BLACKHOLE},
		"10.6.0.0/16":      {Type: unix.RTN_PROHIBIT},
		"2001:db8:2::/48":  {Gw: net.ParseIP("2001:db8:1::2"), MTU: 1400},
		"2001:db8:3::/48":  {Type: unix.RTN_UNREACHABLE},
		"203.0.113.0/24":   {Gw: net.ParseIP("10.1.0.4"), Src: net.ParseIP("10.1.0.1")},
		"198.51.100.16/28": {Scope: netlink.SCOPE_LINK},
	} {
		_, dst, _ := net.ParseCIDR(to)
		if r.Dst = dst; r.Type == 0 {
			r.LinkIndex = link.Attrs().Index
		}
		if err := netlink.RouteAdd(&r); err != nil {
			t.Fatalf("%s: %v", to, err)
		}
	}
	var addresses []netip.Addr
	for n := range 3 * bulkSize {
		for _, format := range []string{"10.1.0.%d", "10.2.1.%d", "10.3.1.%d", "10.4.1.%d", "10.5.1.%d", "10.6.1.%d", "10.7.1.%d", "127.0.0.%d", "224.0.0.%d", "203.0.113.%d", "198.51.100.%d", "2001:db8:1::%d", "2001:db8:2::%d", "2001:db8:3::%d", "2001:db8:4::%d", "ff02::%d"} {
			addresses = append(addresses, netip.MustParseAddr(fmt.Sprintf(format, n)))
		}
	}
	got := network.bulk.routes(addresses)
	with := 0
	for _, a := range addresses {
		found, asked := got[a]
		want, err := network.netlink.RouteGet(a.AsSlice())
		if !asked || len(found) != len(want) || (err != nil) != (len(found) == 0) {
			t.Errorf("%v: %v, asked %v; want %v, %v", a, found, asked, want, err)
			continue
		}
		if len(want) == 0 {
			continue
		}
		with++
		f, w := found[0].Route, want[0]
		if f.Type != w.Type || f.LinkIndex != w.LinkIndex || !f.Gw.Equal(w.Gw) || !f.Src.Equal(w.Src) || f.MTU != w.MTU {
			t.Errorf("%v: %+v, want %+v", a, f, w)
		}
	}
	if with == 0 || with == len(addresses) {
		t.Errorf("%d of %d addresses have routes", with, len(addresses))
	}
}

// TestPrepared: what was prepared is asked once, and what is asked after another preparation is asked again.
func TestPrepared(t *testing.T) {
	s, addresses := many(t, 40)
	link, err := s.network.netlink.LinkByName("up")
	if err != nil {
		t.Fatal(err)
	}
	s.Prepare(addresses)
	if err := s.network.netlink.LinkSetDown(link); err != nil {
		t.Fatal(err)
	}
	if next, _ := s.Resolve(addresses[9]); next.Ifindex == 0 {
		t.Error("it was asked again")
	}
	s.Prepare(addresses[:20])
	for _, a := range []netip.Addr{addresses[10], addresses[30]} {
		if next, _ := s.Resolve(a); next.Ifindex != 0 {
			t.Errorf("%v goes by an interface that is down", a)
		}
	}
}

// BenchmarkRoutes asks for the routes to the replicas of services of ten, at once and one by one.
func BenchmarkRoutes(b *testing.B) {
	s, addresses := many(b, 1000)
	for name, prepare := range map[string]func([]netip.Addr){"at once": s.Prepare, "one by one": func([]netip.Addr) { clear(s.arrivals.prepared) }} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				for some := range slices.Chunk(addresses, 10) {
					prepare(some)
					for _, a := range some {
						s.Routes(a)
					}
				}
			}
		})
	}
}
