package netns_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

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

// A link that Veth returned carries the first packet: none is lost in both directions.
func TestVethIsReady(t *testing.T) {
	run := newRun(t)
	a, b := newNamespace(t, run, "a"), newNamespace(t, run, "b")
	for i := range 30 {
		network := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 0}), 24)
		left, right := network.Addr().Next(), network.Addr().Next().Next()
		la, lb, err := netns.Veth(
			netns.End{Namespace: a, Name: fmt.Sprintf("l%d", i)}, netns.End{Namespace: b, Name: fmt.Sprintf("r%d", i)}, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{
			la.AddAddress(netip.PrefixFrom(left, 24)), lb.AddAddress(netip.PrefixFrom(right, 24)),
			la.AddNeighbour(right, lb.MAC), lb.AddNeighbour(left, la.MAC),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		from := listenUDP(t, a, netip.AddrPortFrom(left, 9))
		to := listenUDP(t, b, netip.AddrPortFrom(right, 9))
		sendOne(t, from, to)
		sendOne(t, to, from)
	}
}

// listenUDP opens a socket in a namespace until the test ends.
func listenUDP(t *testing.T, ns *netns.Namespace, at netip.AddrPort) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	err := ns.Do(func() (err error) {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// sendOne sends one datagram, which must arrive.
func sendOne(t *testing.T, from, to *net.UDPConn) {
	t.Helper()
	if _, err := from.WriteToUDPAddrPort([]byte("x"), to.LocalAddr().(*net.UDPAddr).AddrPort()); err != nil {
		t.Fatal(err)
	}
	if err := to.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := to.ReadFromUDPAddrPort(make([]byte, 8)); err != nil {
		t.Fatalf("the first datagram to %v is lost: %v", to.LocalAddr(), err)
	}
}
