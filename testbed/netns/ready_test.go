package netns_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"lbctl/testbed/netns"
)

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
