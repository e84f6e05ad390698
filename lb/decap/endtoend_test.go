package decap

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"lbctl/lb"
	"lbctl/lb/testns"
	"lbctl/rss/packet"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// replica makes this thread's namespace a replica: VIPs on lo, and a link to the balancer and the clients.
func replica(t *testing.T) netlink.Link {
	t.Helper()
	testns.Enter(t)
	lo := testns.Up(t, "lo")
	testns.AddAddress(t, lo, vip4.String()+"/32")
	routed(t, vip6, func() { testns.AddAddress(t, lo, vip6.String()+"/128") })
	l := testns.Veth(t, "eth", replica4.String()+"/24", replica6.String()+"/64")
	carry(t, "eth", "eth-peer")
	for _, network := range []string{"198.51.100.0/24", "2001:db8:1::/64"} {
		_, n, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: n, Scope: netlink.SCOPE_LINK}); err != nil {
			t.Fatal("add route to", network, err)
		}
	}
	for _, a := range []netip.Addr{client4, client6} {
		err := netlink.NeighSet(&netlink.Neigh{
			LinkIndex: l.Attrs().Index, State: netlink.NUD_PERMANENT, IP: a.AsSlice(), HardwareAddr: gatewayMAC,
		})
		if err != nil {
			t.Fatal("set neighbour", a, err)
		}
	}
	return l
}

// carry waits until the links have a carrier. The kernel notices a carrier on a thread of its own; until then
// packets are dropped silently.
func carry(t *testing.T, names ...string) {
	t.Helper()
	news, done := make(chan netlink.LinkUpdate, 100), make(chan struct{})
	defer close(done)
	if err := netlink.LinkSubscribe(news, done); err != nil {
		t.Fatal("watch links:", err)
	}
	for _, name := range names {
		for l := testns.Up(t, name); l.Attrs().OperState != netlink.OperUp; l = testns.Up(t, name) {
			select {
			case <-news:
			case <-time.After(10 * time.Second):
				t.Fatalf("%s is %v", name, l.Attrs().OperState)
			}
		}
	}
}

// routed adds an IPv6 address and waits for its route, which the kernel adds later, on a thread of its own.
func routed(t *testing.T, a netip.Addr, add func()) {
	t.Helper()
	news, done := make(chan netlink.RouteUpdate, 100), make(chan struct{})
	defer close(done)
	if err := netlink.RouteSubscribe(news, done); err != nil {
		t.Fatal("watch routes:", err)
	}
	add()
	for late := time.After(10 * time.Second); ; {
		select {
		case r := <-news:
			if r.Table == unix.RT_TABLE_LOCAL && r.Dst != nil && r.Dst.IP.Equal(a.AsSlice()) {
				return
			}
		case <-late:
			t.Fatal("no route to", a)
		}
	}
}

// ends are the client's and the VIP's.
func (e encapsulation) ends() (client, vip netip.AddrPort) {
	if e.inner6 {
		return netip.AddrPortFrom(client6, 40000), netip.AddrPortFrom(vip6, 5353)
	}
	return netip.AddrPortFrom(client4, 40000), netip.AddrPortFrom(vip4, 5353)
}

// What a balancer packs reaches a socket that is bound to the VIP, and what the socket answers
// leaves for the client as it is.
func TestEndToEnd(t *testing.T) {
	for _, mode := range []lb.AttachMode{lb.Native, lb.Generic} {
		for _, e := range encapsulations {
			t.Run(mode.String()+"-"+e.name, func(t *testing.T) {
				l := replica(t)
				w := openWire(t, l)
				o := asked()
				o.Mode = mode
				o.Locals = nil // its own
				dir := testns.PinDir(t)
				overUDP(t, w, e, func() {
					if i, err := Attach(t.Context(), dir, "eth", o); err != nil || i.Mode != mode || len(i.Notes) > 0 {
						t.Fatalf("attach: %+v, %v", i, err)
					}
				})
				overTCP(t, w, e)
				all, err := List(dir)
				if err != nil || len(all) != 1 || all[0].Reasons[Decapsulated].Packets != 3 {
					t.Errorf("list: %+v, %v, want 3 packets decapsulated", all, err)
				}
			})
		}
	}
}

// overUDP sends one datagram before there is anything to decapsulate it, and one after.
func overUDP(t *testing.T, w *wire, e encapsulation, attach func()) {
	client, vip := e.ends()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(vip))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	w.send(e, udp(client, vip, "too early"))
	attach()
	w.send(e, udp(client, vip, "question"))
	b := make([]byte, 100)
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil || string(b[:n]) != "question" || from != client {
		t.Fatalf("got %q from %v, %v", b[:n], from, err)
	}
	if _, err := c.WriteToUDPAddrPort([]byte("answer"), client); err != nil {
		t.Fatal(err)
	}
	if got := w.answer(vip.Addr(), client.Addr(), unix.IPPROTO_UDP); string(got[8:]) != "answer" {
		t.Errorf("on the wire %q", got)
	}
}

// overTCP opens a connection by hand and talks over it.
func overTCP(t *testing.T, w *wire, e encapsulation) {
	client, vip := e.ends()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(vip))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	deadline := time.Now().Add(10 * time.Second)
	if err := l.SetDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	w.send(e, tcp(client, vip, packet.SYN, 1000, 0, ""))
	synAck := w.answer(vip.Addr(), client.Addr(), unix.IPPROTO_TCP)
	if packet.TCPFlags(synAck[13]) != packet.SYN|packet.ACK {
		t.Fatalf("flags %#x, want SYN and ACK", synAck[13])
	}
	next := binary.BigEndian.Uint32(synAck[4:]) + 1
	w.send(e, tcp(client, vip, packet.ACK, 1001, next, "question"))
	c, err := l.Accept()
	if err != nil {
		t.Fatal("accept:", err)
	}
	defer c.Close()
	if err := c.SetDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 8)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "question" {
		t.Fatalf("got %q, %v", b, err)
	}
	if _, err := c.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	for {
		segment := w.answer(vip.Addr(), client.Addr(), unix.IPPROTO_TCP)
		if payload := segment[segment[12]>>4*4:]; len(payload) > 0 {
			if string(payload) != "answer" {
				t.Errorf("on the wire %q", payload)
			}
			break
		}
	}
}
