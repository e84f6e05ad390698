package capture

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"go.uber.org/goleak"

	"lbctl/bpf/need"
	"lbctl/rss/packet"
	"lbctl/testbed/netns"
	"lbctl/testbed/packetring"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	network = netip.MustParsePrefix("192.0.2.0/24")
	left    = netip.MustParseAddr("192.0.2.1")
	right   = netip.MustParseAddr("192.0.2.2")
)

// wire is two namespaces and a link between them.
type wire struct {
	left, right netns.Link
}

func newWire(tb testing.TB) wire {
	tb.Helper()
	need.Root(tb)
	run, err := netns.NewRun()
	check(tb, err)
	tb.Cleanup(func() { check(tb, run.Close()) })
	a, err := run.Make("left")
	check(tb, err)
	b, err := run.Make("right")
	check(tb, err)
	la, lb, err := netns.Veth(netns.End{Namespace: a, Name: "left"}, netns.End{Namespace: b, Name: "right"}, 0)
	check(tb, err)
	check(tb, la.AddAddress(netip.PrefixFrom(left, network.Bits())))
	check(tb, lb.AddAddress(netip.PrefixFrom(right, network.Bits())))
	check(tb, la.AddNeighbour(right, lb.MAC))
	check(tb, lb.AddNeighbour(left, la.MAC))
	return wire{la, lb}
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// socketAt opens a UDP socket on an address of a namespace, until the test ends.
func socketAt(tb testing.TB, ns *netns.Namespace, at netip.AddrPort) *net.UDPConn {
	tb.Helper()
	var c *net.UDPConn
	check(tb, ns.Do(func() (err error) {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		return err
	}))
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// send sends datagrams of a size and waits until they are all there: then the link has carried them.
func send(tb testing.TB, from, to *net.UDPConn, n, size int) {
	tb.Helper()
	address := to.LocalAddr().(*net.UDPAddr).AddrPort()
	buffer := make([]byte, 2048)
	check(tb, to.SetReadDeadline(time.Now().Add(time.Minute)))
	for range n {
		_, err := from.WriteToUDPAddrPort(buffer[:size], address)
		check(tb, err)
		_, _, err = to.ReadFromUDPAddrPort(buffer)
		check(tb, err)
	}
}

func udp(source netip.AddrPort, destination netip.AddrPort) packet.Flow {
	return packet.Flow{Source: source, Destination: destination, Protocol: packet.UDP}
}

var flowsEqual = cmp.Comparer(func(a, b packet.Flow) bool { return a == b })

func TestCountsPerFlowAndDirection(t *testing.T) {
	w := newWire(t)
	a1, a2 := netip.AddrPortFrom(left, 1001), netip.AddrPortFrom(left, 1002)
	b := netip.AddrPortFrom(right, 53)
	one, two := socketAt(t, w.left.Namespace(), a1), socketAt(t, w.left.Namespace(), a2)
	server := socketAt(t, w.right.Namespace(), b)

	both, err := Start(w.right, Options{})
	check(t, err)
	incoming, err := Start(w.right, Options{Incoming: true})
	check(t, err)
	send(t, one, server, 500, 100)
	send(t, two, server, 3, 1400)
	send(t, server, one, 70, 1)

	const headers = 14 + 20 + 8
	in := []Flow{
		{udp(a1, b), 500, 500 * (headers + 100)},
		{udp(a2, b), 3, 3 * (headers + 1400)},
	}
	out := Flow{udp(b, a1), 70, 70 * (headers + 1)}
	for _, test := range []struct {
		name    string
		capture *Capture
		flows   []Flow
		packets uint64
	}{
		{"both", both, append(in, out), 573},
		{"incoming", incoming, in, 503},
	} {
		flows, stats, err := test.capture.Stop()
		check(t, err)
		if diff := cmp.Diff(test.flows, flows, flowsEqual); diff != "" {
			t.Errorf("%s: flows (-want +got):\n%s", test.name, diff)
		}
		if want := (Stats{Packets: test.packets}); stats != want {
			t.Errorf("%s: %+v, want %+v", test.name, stats, want)
		}
	}
}

// Nothing is captured before Start or after Stop.
func TestCapturesFromStartToStop(t *testing.T) {
	w := newWire(t)
	client := socketAt(t, w.left.Namespace(), netip.AddrPortFrom(left, 1001))
	server := socketAt(t, w.right.Namespace(), netip.AddrPortFrom(right, 53))
	for _, n := range []int{0, 1, 10_000} {
		send(t, client, server, 5, 10)
		c, err := Start(w.right, Options{})
		check(t, err)
		send(t, client, server, n, 10)
		_, stats, err := c.Stop()
		check(t, err)
		if want := (Stats{Packets: uint64(n)}); stats != want {
			t.Errorf("%+v, want %+v", stats, want)
		}
	}
}

// A reader that is too slow is told how much it missed.
func TestDropsAreReported(t *testing.T) {
	w := newWire(t)
	client := socketAt(t, w.left.Namespace(), netip.AddrPortFrom(left, 1001))
	server := socketAt(t, w.right.Namespace(), netip.AddrPortFrom(right, 53))
	c, err := start(w.right, Options{}, packetring.Size{Blocks: 2, Bytes: 1 << 13, Retire: 20 * time.Millisecond})
	check(t, err)
	const sent = 1000
	send(t, client, server, sent, 10) // nobody reads: two blocks hold some 80 packets
	c.thread.Go(func() { c.err = c.socket.read(c.handle) })
	flows, stats, err := c.Stop()
	check(t, err)
	if stats.Dropped == 0 || stats.Packets == 0 || stats.Packets+stats.Dropped != sent {
		t.Errorf("%+v, want %d in all, some dropped", stats, sent)
	}
	if len(flows) != 1 || flows[0].Packets != stats.Packets {
		t.Errorf("flows %+v, stats %+v", flows, stats)
	}
}

func TestPcapHoldsTheFirstPackets(t *testing.T) {
	w := newWire(t)
	client := socketAt(t, w.left.Namespace(), netip.AddrPortFrom(left, 1001))
	server := socketAt(t, w.right.Namespace(), netip.AddrPortFrom(right, 53))
	path := filepath.Join(t.TempDir(), "first.pcap")
	c, err := Start(w.right, Options{Pcap: path, PcapPackets: 2})
	check(t, err)
	send(t, client, server, 5, 1000)
	_, _, err = c.Stop()
	check(t, err)

	f, err := os.Open(path)
	check(t, err)
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	check(t, err)
	var got []string
	for {
		data, info, err := r.ReadPacketData()
		if err != nil {
			break
		}
		got = append(got, fmt.Sprintf("%d of %d", len(data), info.Length))
	}
	if diff := cmp.Diff([]string{"128 of 1042", "128 of 1042"}, got); diff != "" {
		t.Errorf("packets (-want +got):\n%s", diff)
	}
}

func TestLinkThatGoesAwayIsAnError(t *testing.T) {
	w := newWire(t)
	c, err := Start(w.right, Options{})
	check(t, err)
	check(t, w.right.Down())
	if _, _, err := c.Stop(); err == nil {
		t.Error("no error though the link went down")
	}
}

// frame serialises layers, lengths and checksums filled in.
func frame(tb testing.TB, all ...gopacket.SerializableLayer) []byte {
	tb.Helper()
	b := gopacket.NewSerializeBuffer()
	check(tb, gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, all...))
	return b.Bytes()
}

func TestFlowOfAFrame(t *testing.T) {
	six := netip.MustParseAddrPort("[2001:db8::1]:5000")
	sixTo := netip.MustParseAddrPort("[2001:db8::2]:80")
	four, fourTo := netip.MustParseAddrPort("192.0.2.1:5000"), netip.MustParseAddrPort("192.0.2.2:80")
	ethernet4 := &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}
	ethernet6 := &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv6}
	tagged := &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeDot1Q}
	ip4 := func(p layers.IPProtocol, change ...func(*layers.IPv4)) *layers.IPv4 {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: p, SrcIP: four.Addr().AsSlice(), DstIP: fourTo.Addr().AsSlice()}
		for _, c := range change {
			c(ip)
		}
		return ip
	}
	ip6 := &layers.IPv6{Version: 6, NextHeader: layers.IPProtocolUDP, SrcIP: six.Addr().AsSlice(), DstIP: sixTo.Addr().AsSlice()}
	tcp, udp := &layers.TCP{SrcPort: 5000, DstPort: 80}, &layers.UDP{SrcPort: 5000, DstPort: 80}
	flow4 := packet.Flow{Source: four, Destination: fourTo, Protocol: packet.TCP}
	flow6 := packet.Flow{Source: six, Destination: sixTo, Protocol: packet.UDP}

	long := gopacket.Payload(make([]byte, 1000))
	fragment := func(ip *layers.IPv4) { ip.FragOffset = 10 }
	for _, test := range []struct {
		name  string
		frame []byte
		want  packet.Flow
	}{
		{"tcp4", frame(t, ethernet4, ip4(layers.IPProtocolTCP), tcp), flow4},
		{"tcp4 cut", frame(t, ethernet4, ip4(layers.IPProtocolTCP), tcp, long)[:snapLength], flow4},
		{"udp6", frame(t, ethernet6, ip6, udp), flow6},
		{"vlan", frame(t, tagged, &layers.Dot1Q{VLANIdentifier: 7, Type: layers.EthernetTypeIPv4}, ip4(layers.IPProtocolTCP), tcp), flow4},
		{"fragment", frame(t, ethernet4, ip4(layers.IPProtocolTCP, fragment), tcp), packet.Flow{}},
		{"icmp", frame(t, ethernet4, ip4(layers.IPProtocolICMPv4), &layers.ICMPv4{}), packet.Flow{}},
		{"arp", append(make([]byte, 12), 8, 6, 0, 0), packet.Flow{}},
		{"short", make([]byte, 5), packet.Flow{}},
	} {
		d := newDecoder(nil)
		got, ok := d.flow(test.frame)
		if got != test.want || ok != (test.want != packet.Flow{}) {
			t.Errorf("%s: %v, %v; want %v", test.name, got, ok, test.want)
		}
	}
}

// TestSegments: each TCP segment is told of with its flags and its time, and nothing else is.
func TestSegments(t *testing.T) {
	ethernet := &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}
	ip := func(p layers.IPProtocol) *layers.IPv4 {
		return &layers.IPv4{Version: 4, TTL: 64, Protocol: p, SrcIP: left.AsSlice(), DstIP: right.AsSlice()}
	}
	var got []string
	at := time.Unix(1, 5)
	d := newDecoder(func(s Segment) {
		got = append(got, s.Flags())
		if !s.Time.Equal(at) || s.Flow.Source.Port() != 5000 || s.Length != 60 {
			t.Errorf("told of %+v", s)
		}
	})
	for _, tcp := range []*layers.TCP{{SYN: true}, {SYN: true, ACK: true}, {ACK: true}, {FIN: true, ACK: true}, {RST: true}} {
		tcp.SrcPort, tcp.DstPort = 5000, 80
		d.count(packetring.Packet{Data: frame(t, ethernet, ip(layers.IPProtocolTCP), tcp), Length: 60, Time: at})
	}
	d.count(packetring.Packet{Data: frame(t, ethernet, ip(layers.IPProtocolUDP), &layers.UDP{SrcPort: 5000, DstPort: 80}), Length: 60, Time: at})
	if diff := cmp.Diff([]string{"SYN", "SYN, ACK", "ACK", "FIN, ACK", "RST"}, got); diff != "" {
		t.Error(diff)
	}
}

func BenchmarkDecode(b *testing.B) {
	data := frame(b,
		&layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4},
		&layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: left.AsSlice(), DstIP: right.AsSlice()},
		&layers.TCP{SrcPort: 5000, DstPort: 80})
	d := newDecoder(nil)
	b.ReportAllocs()
	for b.Loop() {
		d.count(packetring.Packet{Data: data, Length: len(data)})
	}
}
