package nic

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lbctl/rss"
	"lbctl/rss/packet"
)

func fourQueues(t *testing.T) *NIC {
	t.Helper()
	c, err := Default(4)
	if err != nil {
		t.Fatal(err)
	}
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestPortQueuesByDefinition computes some of the queues from the hash's definition.
func TestPortQueuesByDefinition(t *testing.T) {
	n, r := fourQueues(t), rand.New(rand.NewPCG(1, 0))
	for _, in := range []PortRange{{0, 65535}, {65535, 65535}, {1024, 4095}} {
		for _, flow := range []packet.Flow{
			{Source: netip.MustParseAddrPort("198.51.100.7:9"), Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP},
			{Source: netip.MustParseAddrPort("[2001:db8::7]:0"), Destination: netip.MustParseAddrPort("[2001:db8::1]:53"), Protocol: packet.UDP},
		} {
			there, back := n.PortQueues(flow, in), n.ReplyQueues(flow, in)
			if len(there) != in.Size() || len(back) != in.Size() {
				t.Fatalf("%d and %d queues for %v", len(there), len(back), in)
			}
			for range 100 {
				i := r.IntN(in.Size())
				source := netip.AddrPortFrom(flow.Source.Addr(), in.First+uint16(i))
				want := rss.Toeplitz(rss.MicrosoftKey(), rss.AppendTuple(nil, source, flow.Destination)) % 4
				if there[i] != rss.Queue(want) {
					t.Errorf("%v to %v: queue %d, want %d", source, flow.Destination, there[i], want)
				}
				want = rss.Toeplitz(rss.MicrosoftKey(), rss.AppendTuple(nil, flow.Destination, source)) % 4
				if back[i] != rss.Queue(want) {
					t.Errorf("%v to %v: queue %d, want %d", flow.Destination, source, back[i], want)
				}
			}
		}
	}
}

// TestPortsWhere: the ranges hold the wanted ports, nothing else, and could not be fewer.
func TestPortsWhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wanted := rapid.SliceOfN(rapid.Bool(), 1, 40).Draw(t, "wanted")
		first := rapid.SampledFrom([]int{0, 1024, 65536 - len(wanted)}).Draw(t, "first")
		in := PortRange{uint16(first), uint16(first + len(wanted) - 1)}
		var got []bool
		last := -2
		for _, r := range PortsWhere(in, func(i int) bool { return wanted[i] }) {
			if int(r.First) <= last+1 || r.Last < r.First {
				t.Fatalf("range %v after port %d", r, last)
			}
			for len(got) < int(r.First)-first {
				got = append(got, false)
			}
			for range r.Size() {
				got = append(got, true)
			}
			last = int(r.Last)
		}
		for len(got) < len(wanted) {
			got = append(got, false)
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func BenchmarkPortQueues(b *testing.B) {
	c, _ := Default(4)
	n, _ := New(c)
	flow := packet.Flow{Source: netip.MustParseAddrPort("198.51.100.7:9"), Destination: netip.MustParseAddrPort("192.0.2.1:80"), Protocol: packet.TCP}
	for b.Loop() {
		n.PortQueues(flow, PortRange{0, 65535})
	}
}
