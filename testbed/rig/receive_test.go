package rig_test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"

	"lbctl/bpf/need"
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

// BenchmarkHTTP is 4,000 connections and 16,000 requests of 117 kB on the average, to a
// server behind two XDP redirects, as in the testbed.
func BenchmarkHTTP(b *testing.B) {
	for _, mtu := range []int{netns.DefaultMTU, 3400} {
		b.Run(fmt.Sprintf("mtu=%d", mtu), func(b *testing.B) {
			bed := newBed(b, 50, 4, mtu)
			server := bed.behind(b, 50, mtu)
			receiveOn(b, server, 0)
			benchmarkHTTP(b, bed.clients, server)
			bed.report(b)
			b.ReportMetric(float64(retransmitted(b, server)), "retransmitted")
		})
	}
}

// report reports how much went through the NIC.
func (b bed) report(tb *testing.B) {
	stats := b.nic.Stats()
	frames, drops := stats.Returned, stats.Lost+stats.Refused
	for _, q := range stats.Queues {
		frames += q.Frames
		drops += q.Drops
	}
	tb.ReportMetric(float64(frames)/tb.Elapsed().Seconds(), "frames/s")
	tb.ReportMetric(float64(drops), "drops")
}

// BenchmarkHTTPWithoutRig is the same over a veth pair: what is left is not the rig's.
func BenchmarkHTTPWithoutRig(b *testing.B) {
	need.Root(b)
	run, err := netns.NewRun()
	check(b, err)
	defer func() { check(b, run.Close()) }()
	clients, err := run.Make("clients")
	check(b, err)
	server, err := run.Make("host")
	check(b, err)
	wire, host, err := netns.Veth(netns.End{Namespace: clients, Name: "wire"}, netns.End{Namespace: server, Name: "host"}, 0)
	check(b, err)
	check(b, host.AddAddress(netip.PrefixFrom(hostAddr, clientNet.Bits())))
	for i := range 50 {
		check(b, wire.AddAddress(netip.PrefixFrom(clientAddr(i), clientNet.Bits())))
	}
	benchmarkHTTP(b, clients, server)
}

// benchmarkHTTP runs the requests from one namespace to the other.
func benchmarkHTTP(b *testing.B, clients, host *netns.Namespace) {
	config := clientsOf(b, 50, 4000)
	server := start(b, host, "replica", replica.Config{Listen: config.VIP, Site: config.Site})
	server.await(b, helper.Ready)
	for b.Loop() {
		start(b, clients, "client", config).end(b)
	}
	server.terminate(b)
	requests(b, config)
}
