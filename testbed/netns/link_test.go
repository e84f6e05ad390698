package netns_test

import (
	"io"
	"net"
	"net/netip"
	"testing"

	"lbctl/testbed/netns"
)

// pair joins two namespaces with addresses .1 and .2 of each prefix.
func pair(t *testing.T, a, b *netns.Namespace, prefixes ...netip.Prefix) (netns.Link, netns.Link) {
	t.Helper()
	la, lb, err := netns.Veth(netns.End{Namespace: a, Name: "left"}, netns.End{Namespace: b, Name: "right"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range prefixes {
		first := p.Addr().Next()
		second := first.Next()
		for _, err := range []error{
			la.AddAddress(netip.PrefixFrom(first, p.Bits())), lb.AddAddress(netip.PrefixFrom(second, p.Bits())),
			la.AddNeighbour(second, lb.MAC), lb.AddNeighbour(first, la.MAC),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return la, lb
}

// echo sends one line over TCP from a to an address in b, where it is sent back.
func echo(t *testing.T, a, b *netns.Namespace, address netip.AddrPort) {
	t.Helper()
	var listener net.Listener
	if err := b.Do(func() (err error) { listener, err = net.Listen("tcp", address.String()); return err }); err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(c, c)
		_ = c.Close()
	}()
	var conn net.Conn
	if err := a.Do(func() (err error) { conn, err = net.Dial("tcp", address.String()); return err }); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != "hello" {
		t.Errorf("echo %q, %v", got, err)
	}
	_ = conn.Close()
}

func TestVethCarriesIPv4AndIPv6(t *testing.T) {
	run := newRun(t)
	a, b := newNamespace(t, run, "a"), newNamespace(t, run, "b")
	for _, ns := range []*netns.Namespace{a, b} {
		if err := ns.AllowIPv6(); err != nil {
			t.Fatal(err)
		}
	}
	pair(t, a, b, netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/64"))
	echo(t, a, b, netip.MustParseAddrPort("192.0.2.2:8080"))
	echo(t, a, b, netip.MustParseAddrPort("[2001:db8::2]:8080"))
}

func TestRouteOverAGateway(t *testing.T) {
	run := newRun(t)
	a, b := newNamespace(t, run, "a"), newNamespace(t, run, "b")
	left, right := pair(t, a, b, netip.MustParsePrefix("192.0.2.0/24"))
	if err := right.AddAddress(netip.MustParsePrefix("198.51.100.7/32")); err != nil {
		t.Fatal(err)
	}
	if err := left.AddRoute(netip.MustParsePrefix("198.51.100.0/24"), netip.MustParseAddr("192.0.2.2")); err != nil {
		t.Fatal(err)
	}
	echo(t, a, b, netip.MustParseAddrPort("198.51.100.7:80"))
}

func TestIPv6IsOffUnlessAllowed(t *testing.T) {
	run := newRun(t)
	a, b := newNamespace(t, run, "a"), newNamespace(t, run, "b")
	if err := b.AllowIPv6(); err != nil {
		t.Fatal(err)
	}
	left, right := pair(t, a, b)
	for _, c := range []struct {
		link netns.Link
		want string
	}{{left, "1"}, {right, "0"}} {
		link, want := c.link, c.want
		got, err := link.Namespace().ReadSysctl("net/ipv6/conf/" + link.Name + "/disable_ipv6")
		if err != nil || got != want {
			t.Errorf("disable_ipv6 of %s is %q, %v; want %s", link.Name, got, err, want)
		}
	}
}

func TestOffloadsAreOff(t *testing.T) {
	run := newRun(t)
	a, b := newNamespace(t, run, "a"), newNamespace(t, run, "b")
	left, right := pair(t, a, b)
	for _, l := range []netns.Link{left, right} {
		on, err := l.Offloads()
		if err != nil || len(on) != 0 {
			t.Errorf("link %s: offloads on: %v, %v", l.Name, on, err)
		}
	}
	lo, err := a.Link("lo")
	if err != nil {
		t.Fatal(err)
	}
	if on, err := lo.Offloads(); err != nil || len(on) == 0 {
		t.Errorf("loopback: offloads on: %v, %v; want some, or this test sees nothing", on, err)
	}
}
