package nic

import (
	"net/netip"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/rss"
	"lbctl/rss/packet"
)

// Flows and hashes of Microsoft's "Verifying the RSS Hash Calculation", under its key.
var (
	flow4 = flow("66.9.149.187:2794", "161.142.100.80:1766")
	flow6 = flow("[3ffe:2501:200:1fff::7]:2794", "[3ffe:2501:200:3::1]:1766")
)

const (
	four4, two4 = 0x51ccc178, 0x323e8fc2
	four6, two6 = 0x40207d3d, 0x2cc18cd5
)

func flow(source, destination string) packet.Flow {
	return packet.Flow{
		Source: netip.MustParseAddrPort(source), Destination: netip.MustParseAddrPort(destination),
		Protocol: packet.TCP,
	}
}

func with(f packet.Flow, p packet.Protocol) packet.Flow {
	f.Protocol = p
	return f
}

func portless(f packet.Flow) packet.Flow {
	f.Source, f.Destination = netip.AddrPortFrom(f.Source.Addr(), 0), netip.AddrPortFrom(f.Destination.Addr(), 0)
	return f
}

// result is the result for a hash with a table of 128 equal entries over 4 queues.
func result(fields rss.Fields, hash uint32, f packet.Flow) Result {
	return Result{Fields: fields, Hash: hash, Hashed: true, Index: int(hash % 128), Queue: rss.Queue(hash % 128 % 4), Flow: f}
}

func TestClassify(t *testing.T) {
	n := mustNew(t, 4)
	const icmp packet.Protocol = 1
	for _, c := range []struct {
		name  string
		frame packet.Frame
		want  Result
	}{
		{"tcp4", packet.Frame{Flow: flow4}, result(rss.FourTuple, four4, flow4)},
		{"udp4", packet.Frame{Flow: with(flow4, packet.UDP)}, result(rss.FourTuple, four4, with(flow4, packet.UDP))},
		{"tcp6", packet.Frame{Flow: flow6}, result(rss.FourTuple, four6, flow6)},
		{"udp6", packet.Frame{Flow: with(flow6, packet.UDP)}, result(rss.FourTuple, four6, with(flow6, packet.UDP))},
		{"icmp", packet.Frame{Flow: portless(with(flow4, icmp))}, result(rss.Addresses, two4, portless(with(flow4, icmp)))},
		{"icmp6", packet.Frame{Flow: portless(with(flow6, 58))}, result(rss.Addresses, two6, portless(with(flow6, 58)))},
		{"two tags", packet.Frame{Flow: flow4, Tags: make([]packet.Tag, 2)}, result(rss.FourTuple, four4, flow4)},
		{"three tags", packet.Frame{Flow: flow4, Tags: make([]packet.Tag, 3)}, Result{Unhashed: Tags}},
		{"options", packet.Frame{Flow: flow4, Options: make([]byte, 4)}, result(rss.FourTuple, four4, flow4)},
		{"extensions", packet.Frame{Flow: flow6, Extensions: make([]packet.Extension, 2)}, result(rss.FourTuple, four6, flow6)},
		{"first fragment", packet.Frame{Flow: flow4, Fragment: &packet.Fragment{More: true}},
			result(rss.Addresses, two4, portless(flow4))},
		{"last fragment", packet.Frame{Flow: flow4, Fragment: &packet.Fragment{Offset: 8}},
			result(rss.Addresses, two4, portless(flow4))},
		{"first fragment of ipv6", packet.Frame{Flow: flow6, Fragment: &packet.Fragment{More: true}},
			result(rss.Addresses, two6, portless(flow6))},
		{"last fragment of ipv6", packet.Frame{Flow: flow6, Fragment: &packet.Fragment{Offset: 8}},
			result(rss.Addresses, two6, portless(flow6))},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, n.Classify(c.frame.Marshal()), comparable); diff != "" {
				t.Errorf("Classify (-want +got):\n%s", diff)
			}
		})
	}
}

func TestClassifyWhatCannotBeParsed(t *testing.T) {
	n, frame := mustNew(t, 4), packet.Frame{Flow: flow4}.Marshal()
	for _, c := range []struct {
		name  string
		frame []byte
		want  Result
	}{
		{"nothing", nil, Result{Unhashed: Damaged}},
		{"ethernet only", frame[:14], Result{Unhashed: Damaged}},
		{"ipv4 cut", frame[:33], Result{Unhashed: Damaged}},
		{"tcp cut", frame[:53], result(rss.Addresses, two4, portless(flow4))},
	} {
		if diff := cmp.Diff(c.want, n.Classify(c.frame), comparable); diff != "" {
			t.Errorf("%s: Classify (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestClassifyFlow(t *testing.T) {
	n := mustNew(t, 4)
	mapped := netip.MustParseAddrPort("[::ffff:161.142.100.80]:1766")
	for _, c := range []struct {
		name string
		flow packet.Flow
		want Result
	}{
		{"tcp4", flow4, result(rss.FourTuple, four4, flow4)},
		{"udp6", with(flow6, packet.UDP), result(rss.FourTuple, four6, with(flow6, packet.UDP))},
		{"sctp", with(flow4, 132), result(rss.Addresses, two4, with(flow4, 132))},
		{"none", packet.Flow{}, Result{Unhashed: NoFields}},
		{"mixed families", packet.Flow{Source: flow4.Source, Destination: mapped, Protocol: packet.TCP},
			Result{Unhashed: NoFields, Flow: packet.Flow{Source: flow4.Source, Destination: mapped, Protocol: packet.TCP}}},
	} {
		if diff := cmp.Diff(c.want, n.ClassifyFlow(c.flow), comparable); diff != "" {
			t.Errorf("%s: ClassifyFlow (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestWithTable(t *testing.T) {
	n, table := mustNew(t, 4), rss.Table{1, 2, 3}
	m := n.WithTable(table)
	clear(table)
	got, before := m.ClassifyFlow(flow4), n.ClassifyFlow(flow4)
	if want := int(uint32(four4) % 3); got.Index != want || got.Queue != rss.Queue(want+1) || got.Hash != four4 {
		t.Errorf("in 3 entries: %+v, want index %d, queue %d", got, want, want+1)
	}
	if before.Index != four4%128 || before.Queue != four4%4 {
		t.Errorf("the first NIC changed too: %+v", before)
	}
	if q := n.WithTable(nil).ClassifyFlow(flow4).Queue; q != 0 {
		t.Errorf("without a table queue %d, want 0", q)
	}
}

func TestClassifyDoesNotAllocate(t *testing.T) {
	n := mustNew(t, 4)
	for _, f := range []packet.Flow{flow4, flow6} {
		frame := packet.Frame{Flow: f}.Marshal()
		if a := testing.AllocsPerRun(100, func() { n.Classify(frame); n.ClassifyFlow(f) }); a != 0 {
			t.Errorf("%v: %v allocations, want 0", f, a)
		}
	}
}

// The race detector would find a write to the NIC here.
func TestConcurrentUse(t *testing.T) {
	n, frame := mustNew(t, 4), packet.Frame{Flow: flow4}.Marshal()
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			if got := n.WithTable(rss.Table{rss.Queue(i)}).Classify(frame).Queue; got != rss.Queue(i) {
				t.Errorf("queue %d, want %d", got, i)
			}
		})
	}
	group.Wait()
}

// comparable lets cmp see into addresses.
var comparable = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
