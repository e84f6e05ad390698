package rig_test

import (
	"fmt"
	"net/netip"
	"testing"

	"lbctl/bpf/need"
	"lbctl/testbed/helper"
	"lbctl/testbed/netns"
	"lbctl/testbed/replica"
)

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
