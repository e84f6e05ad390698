package replay

import (
	"net/netip"
	"testing"
	"time"

	"lbctl/rss"
	"lbctl/rss/nic"
	"lbctl/rss/packet"
	"lbctl/rss/replay/pcap"
)

// differs returns a UDP flow whose fragments the NIC puts on another queue than its whole packets,
// or, with same, on the same one.
func differs(n *nic.NIC, same bool) packet.Flow {
	for port := uint16(1000); ; port++ {
		f := udp("10.0.0.1:53", "10.0.0.2:0")
		f.Destination = netip.AddrPortFrom(f.Destination.Addr(), port)
		whole := n.ClassifyFlow(f).Queue
		part := n.Classify(packet.Frame{Flow: f, Fragment: &packet.Fragment{More: true}}.Marshal()).Queue
		if (whole == part) == same {
			return f
		}
	}
}

func pieceOf(f packet.Flow, id uint16, offset int, more bool) packet.Frame {
	return packet.Frame{Flow: f, ID: id, Fragment: &packet.Fragment{Offset: offset, More: more}, Payload: make([]byte, 64)}
}

func TestFragments(t *testing.T) {
	n := mustNIC(t, 8)
	torn, whole := differs(n, false), differs(n, true)
	for name, c := range map[string]struct {
		frames []packet.Frame
		want   Violation
	}{
		"whole packets first": {[]packet.Frame{{Flow: torn}, {Flow: torn}, {Flow: torn}, {Flow: torn}, pieceOf(torn, 1, 0, true), pieceOf(torn, 1, 72, true), pieceOf(torn, 1, 136, false)},
			Violation{Flows: 1, Packets: 3}},
		"fragments first":          {[]packet.Frame{pieceOf(torn, 1, 0, true), pieceOf(torn, 1, 72, false), {Flow: torn}, {Flow: torn}, {Flow: torn}}, Violation{Flows: 1, Packets: 2}},
		"on the same queue":        {[]packet.Frame{{Flow: whole}, pieceOf(whole, 1, 0, true), pieceOf(whole, 1, 72, false)}, Violation{}},
		"nothing but fragments":    {[]packet.Frame{pieceOf(torn, 1, 0, true), pieceOf(torn, 1, 72, false)}, Violation{}},
		"no first fragment":        {[]packet.Frame{{Flow: torn}, {Flow: torn}, pieceOf(torn, 1, 72, false)}, Violation{}},
		"of another datagram":      {[]packet.Frame{{Flow: torn}, {Flow: torn}, pieceOf(torn, 1, 0, true), pieceOf(torn, 2, 72, false)}, Violation{Flows: 1, Packets: 1}},
		"of a later one, same id":  {[]packet.Frame{{Flow: torn}, pieceOf(whole, 1, 0, true), pieceOf(whole, 1, 72, false), {Flow: whole}}, Violation{}},
		"two datagrams interleave": {[]packet.Frame{{Flow: torn}, {Flow: torn}, {Flow: torn}, {Flow: torn}, {Flow: torn}, pieceOf(torn, 1, 0, true), pieceOf(torn, 2, 0, true), pieceOf(torn, 1, 72, false), pieceOf(torn, 2, 72, false)}, Violation{Flows: 1, Packets: 4}},
	} {
		got := violation(run(t, newCapture(pcap.Ethernet).frames(c.frames...), Options{NIC: n}), Fragment)
		if got.Flows != c.want.Flows || got.Packets != c.want.Packets {
			t.Errorf("%s: %v; want %d flows, %d packets", name, got, c.want.Flows, c.want.Packets)
		}
		if got.Flows > 0 && got.Example[:len("udp 10.0.0.1:53")] != "udp 10.0.0.1:53" {
			t.Errorf("%s: example %q", name, got.Example)
		}
	}
}

// Fragments of datagrams whose first fragment was not captured have no owner, also when the table of first
// fragments is full.
func TestOrphans(t *testing.T) {
	n := mustNIC(t, 8)
	torn := differs(n, false)
	c := newCapture(pcap.Ethernet)
	c.many(30_000, packet.Frame{Flow: torn})
	c.frames(pieceOf(torn, 0, 0, true))
	for id := range uint16(20_000) {
		c.frames(pieceOf(torn, id, 72, false))
	}
	if v := violation(run(t, c, Options{NIC: n}), Fragment); v.Flows != 1 || v.Packets != 2 {
		t.Errorf("%v; want 1 flow, 2 packets", v)
	}
}

func TestFragmentsOfIPv6(t *testing.T) {
	n := mustNIC(t, 8)
	for port := uint16(1); ; port++ {
		f := packet.Flow{
			Source:      netip.AddrPortFrom(netip.MustParseAddr("2001:db8::1"), port),
			Destination: netip.MustParseAddrPort("[2001:db8::2]:53"), Protocol: packet.UDP,
		}
		part := pieceOf(f, 7, 0, true)
		if n.ClassifyFlow(f).Queue == n.Classify(part.Marshal()).Queue {
			continue
		}
		c := newCapture(pcap.Ethernet).frames(packet.Frame{Flow: f}, packet.Frame{Flow: f}, part, pieceOf(f, 7, 72, false))
		if got := violation(run(t, c, Options{NIC: n}), Fragment); got.Flows != 1 || got.Packets != 2 {
			t.Errorf("%v; want 1 flow, 2 packets", got)
		}
		return
	}
}

// vxlan wraps a frame, sent from a port that says which path it took.
func vxlan(port uint16, inner packet.Frame) packet.Frame {
	outer := udp("172.16.0.1:0", "172.16.0.2:4789")
	outer.Source = netip.AddrPortFrom(outer.Source.Addr(), port)
	return packet.Frame{Flow: outer, Payload: append([]byte{8, 0, 0, 0, 0, 0, 1, 0}, inner.Marshal()...)}
}

// A connection in a tunnel whose outer header changes comes to several queues, unless the NIC looks inside.
func TestTunnel(t *testing.T) {
	n := mustNIC(t, 8)
	inner := packet.Frame{Flow: flowOf(1)}
	queue := func(port uint16) rss.Queue { return n.Classify(vxlan(port, inner).Marshal()).Queue }
	one, other := uint16(50000), uint16(50001)
	for queue(one) == queue(other) {
		other++
	}
	c := newCapture(pcap.Ethernet).frames(vxlan(one, inner), vxlan(one, inner), vxlan(other, inner))
	got := run(t, c, Options{NIC: n})
	if v := violation(got, Tunnel); v.Flows != 1 || v.Packets != 1 || got.Flows != 2 {
		t.Errorf("%v and %d flows for the NIC; want 1 flow, 1 packet; 2", v, got.Flows)
	}
	config := n.Config()
	config.Inner = packet.TunnelVXLAN
	inside, err := nic.New(config)
	must(t, err)
	got = run(t, c, Options{NIC: inside})
	if len(got.Affinity) != 0 || got.Flows != 1 {
		t.Errorf("a NIC that looks inside: %v and %d flows, want none and 1", got.Affinity, got.Flows)
	}
	steady := newCapture(pcap.Ethernet).frames(vxlan(one, inner), vxlan(one, inner))
	if got := run(t, steady, Options{NIC: n}); len(got.Affinity) != 0 {
		t.Errorf("over one path: %v, want none", got.Affinity)
	}
}

// Fragments in a tunnel are misrouted because of the tunnel: to the NIC they are whole packets of the outer flow.
func TestFragmentInTunnel(t *testing.T) {
	n := mustNIC(t, 8)
	whole := packet.Frame{Flow: flowOf(1)}
	queue := func(port uint16) rss.Queue { return n.Classify(vxlan(port, whole).Marshal()).Queue }
	one, other := uint16(50000), uint16(50001)
	for queue(one) == queue(other) {
		other++
	}
	c := newCapture(pcap.Ethernet).frames(vxlan(one, pieceOf(flowOf(1), 1, 0, true)), vxlan(other, pieceOf(flowOf(1), 1, 72, false)))
	got := run(t, c, Options{NIC: n})
	if v := violation(got, Tunnel); v.Flows != 1 || v.Packets != 1 || len(got.Affinity) != 1 {
		t.Errorf("%+v; want 1 flow, 1 packet, because of the tunnel", got.Affinity)
	}
	config := n.Config()
	config.Inner = packet.TunnelVXLAN
	inside, err := nic.New(config)
	must(t, err)
	torn := differs(n, false)
	c = newCapture(pcap.Ethernet).frames(vxlan(one, packet.Frame{Flow: torn}), vxlan(one, packet.Frame{Flow: torn}),
		vxlan(one, pieceOf(torn, 1, 0, true)))
	if got := run(t, c, Options{NIC: inside}); violation(got, Fragment).Packets != 1 || len(got.Affinity) != 1 {
		t.Errorf("a NIC that looks inside: %+v, want 1 packet, because it is a fragment", got.Affinity)
	}
}

func TestTableChanged(t *testing.T) {
	n := mustNIC(t, 2)
	moves, stays := on(n, 1, 0), on(n, 0, 0)
	c := newCapture(pcap.Ethernet)
	for i := range 4 {
		for _, flow := range []int{moves, stays} {
			c.add(time.Duration(i)*time.Second, packet.Frame{Flow: flowOf(flow)}.Marshal(), 60)
		}
	}
	zero := rss.Table{0, 0, 0}
	for name, change := range map[string]*Change{
		"after 4 packets":   {Packet: 4, Table: zero},
		"after 1.5 seconds": {After: 1500 * time.Millisecond, Table: zero},
		"after 2 seconds":   {After: 2 * time.Second, Table: zero},
	} {
		got := run(t, c, Options{NIC: n, Change: change})
		if v := violation(got, TableChanged); v.Flows != 1 || v.Packets != 2 || len(got.Affinity) != 1 {
			t.Errorf("%s: %v; want 1 flow, 2 packets", name, got.Affinity)
		}
		if got.Queues[0].Packets != 6 || got.Queues[1].Packets != 2 || got.Imbalance.Flows.ByChance != nil {
			t.Errorf("%s: queues %+v", name, got.Queues)
		}
		// Buckets stay those of the first table.
		if b := got.Buckets[n.ClassifyFlow(flowOf(moves)).Index]; b.Packets != 4 {
			t.Errorf("%s: bucket %+v, want 4 packets", name, b)
		}
	}
	if got := run(t, c, Options{NIC: n, Change: &Change{Packet: 100, Table: zero}}); len(got.Affinity) != 0 {
		t.Errorf("a change that never came: %v", got.Affinity)
	}
}

func TestDirection(t *testing.T) {
	n := mustNIC(t, 8)
	apart, together := -1, -1
	for i := 0; apart < 0 || together < 0; i++ {
		if n.ClassifyFlow(flowOf(i)).Queue == n.ClassifyFlow(flowOf(i).Reverse()).Queue {
			together = i
		} else {
			apart = i
		}
	}
	c := newCapture(pcap.Ethernet).frames(
		packet.Frame{Flow: flowOf(apart)}, packet.Frame{Flow: flowOf(apart).Reverse()}, packet.Frame{Flow: flowOf(apart).Reverse()},
		packet.Frame{Flow: flowOf(together)}, packet.Frame{Flow: flowOf(together).Reverse()},
	)
	if v := violation(run(t, c, Options{NIC: n}), Direction); v.Flows != 1 || v.Packets != 2 {
		t.Errorf("%v; want 1 connection, 2 packets", v)
	}
	config := n.Config()
	config.Key, _ = rss.Named("symmetric")
	symmetric, err := nic.New(config)
	must(t, err)
	if got := run(t, c, Options{NIC: symmetric}); len(got.Affinity) != 0 {
		t.Errorf("under a symmetric key: %v, want none", got.Affinity)
	}
}

// A change of the flow label moves the flow if the NIC hashes it.
func TestOtherFields(t *testing.T) {
	config := mustNIC(t, 8).Config()
	config.UDP6 = rss.FourTuple | rss.FlowLabel
	config.Key = append(config.Key, config.Key[:12]...) // 40 bytes do not reach the label's low bits
	n, err := nic.New(config)
	must(t, err)
	b := packet.Frame{Flow: udp("[2001:db8::1]:1", "[2001:db8::2]:2")}.Marshal()
	first := n.Classify(b)
	c := newCapture(pcap.Ethernet)
	c.add(0, b, 62)
	for b[17] = 1; n.Classify(b).Queue == first.Queue; b[17]++ {
		if b[17] == 0 {
			t.Fatal("no label moves the flow")
		}
	}
	c.add(0, b, 62)
	c.add(0, b, 62)
	if v := violation(run(t, c, Options{NIC: n}), OtherFields); v.Flows != 1 || v.Packets != 2 {
		t.Errorf("%v; want 1 flow, 2 packets", v)
	}
}
