package rig_test

import (
	"net/netip"
	"path/filepath"
	"testing"

	"lbctl/testbed/helper"
	"lbctl/testbed/journal"
	"lbctl/testbed/netns"
	"lbctl/testbed/replica"
	"lbctl/testbed/xdp"
)

// patch redirects natively whatever comes in on one link to another, until the test ends.
func patch(tb testing.TB, from, to netns.Link) {
	tb.Helper()
	attached, err := xdp.Attach(from, "patch", xdp.Redirect(to.Index, 0))
	check(tb, err)
	tb.Cleanup(func() { _ = attached.Close() })
}

// behind puts a server's namespace behind the bed's host, whose XDP redirects everything
// to it and back: it has the host's addresses, so the clients see no difference.
func (b bed) behind(tb testing.TB, clients, mtu int) *netns.Namespace {
	tb.Helper()
	ns, err := b.run.Make("server")
	check(tb, err)
	inner, outer, err := netns.Veth(netns.End{Namespace: b.host, Name: "inner"}, netns.End{Namespace: ns, Name: "outer"}, mtu)
	check(tb, err)
	host, err := b.nic.Host()
	check(tb, err)
	wire, err := b.nic.Wire()
	check(tb, err)
	check(tb, outer.SetMAC(host.MAC))
	check(tb, outer.AddAddress(netip.PrefixFrom(hostAddr, clientNet.Bits())))
	for i := range clients {
		check(tb, outer.AddNeighbour(clientAddr(i), wire.MAC))
	}
	patch(tb, host, inner)
	patch(tb, inner, host)
	return ns
}

// receiveOn makes a server behind the bed receive, and run, on one core, until the test ends.
func receiveOn(tb testing.TB, server *netns.Namespace, core int) {
	tb.Helper()
	outer, err := server.Link("outer")
	check(tb, err)
	check(tb, server.Pin(core))
	receive, err := xdp.ReceiveOn(outer, core)
	check(tb, err)
	tb.Cleanup(func() { check(tb, receive.Close()) })
}

// Frames that XDP redirects to a veth arrive, and the answers come back, once Receive is at the other end.
func TestReceiveTakesRedirectedFrames(t *testing.T) {
	b := newBed(t, 8, 4, 0)
	server := b.behind(t, 8, 0)
	outer, err := server.Link("outer")
	check(t, err)
	receive, err := xdp.Receive(outer)
	check(t, err)
	defer receive.Close()
	if on, err := outer.Offloads(); err != nil || len(on) != 0 {
		t.Errorf("offloads on: %v, %v", on, err)
	}
	b.serveBehind(t, server)
}

func TestReceiveOnTakesRedirectedFrames(t *testing.T) {
	b := newBed(t, 8, 4, 0)
	server := b.behind(t, 8, 0)
	receiveOn(t, server, b.nic.Core(1))
	b.serveBehind(t, server)
}

// serveBehind runs clients against a replica behind the bed's host.
func (b bed) serveBehind(t *testing.T, server *netns.Namespace) {
	t.Helper()
	config := clientsOf(t, 8, 50)
	config.Site = small
	access := filepath.Join(t.TempDir(), "access")
	web := start(t, server, "replica", replica.Config{Listen: config.VIP, Site: config.Site, Log: access})
	web.await(t, helper.Ready)
	start(t, b.clients, "client", config).end(t)
	web.terminate(t)
	requests(t, config)
	if lines, err := journal.Read[replica.Access](access); err != nil || len(lines) != config.Total() {
		t.Errorf("access log after SIGTERM: %d lines, %v; want %d", len(lines), err, config.Total())
	}
	if stats := b.nic.Stats(); stats.Lost != 0 || stats.Refused != 0 || stats.Returned == 0 {
		t.Errorf("%+v", stats)
	}
}
