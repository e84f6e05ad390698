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
	"github.com/google/gopacket/pcapgo"
	"go.uber.org/goleak"

	"lbctl/bpf/need"
	"lbctl/rss/packet"
	"lbctl/testbed/netns"
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
	c, err := start(w.right, Options{}, ringSize{blocks: 2, blockBytes: 1 << 13})
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
