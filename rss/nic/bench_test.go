package nic

import (
	"net/netip"
	"testing"

	"lbctl/rss/packet"
)

func BenchmarkClassify(b *testing.B) {
	n := mustNew(b, 4)
	for _, c := range []struct {
		name                string
		source, destination string
	}{
		{"ipv4", "66.9.149.187:2794", "161.142.100.80:1766"},
		{"ipv6", "[3ffe:2501:200:1fff::7]:2794", "[3ffe:2501:200:3::1]:1766"},
	} {
		flow := packet.Flow{
			Source: netip.MustParseAddrPort(c.source), Destination: netip.MustParseAddrPort(c.destination),
			Protocol: packet.TCP,
		}
		frame := packet.Frame{Flow: flow}.Marshal()
		b.Run("frame/"+c.name, func(b *testing.B) {
			for b.Loop() {
				n.Classify(frame)
			}
		})
		b.Run("flow/"+c.name, func(b *testing.B) {
			for b.Loop() {
				n.ClassifyFlow(flow)
			}
		})
	}
}

func mustNew(tb testing.TB, queues int) *NIC {
	tb.Helper()
	config, err := Default(queues)
	if err != nil {
		tb.Fatal(err)
	}
	n, err := New(config)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}
