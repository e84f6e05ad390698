package decap

import (
	"lbctl/rss/packet"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// wire is the other end of the replica's link, where a balancer's packets come from and the replica's
// answers come out.
type wire struct {
	t      *testing.T
	socket int
	to     []byte // the replica's MAC
}

// openWire opens the peer of a veth.
func openWire(t *testing.T, replica netlink.Link) *wire {
	t.Helper()
	peer, err := netlink.LinkByName(replica.Attrs().Name + "-peer")
	if err != nil {
		t.Fatal(err)
	}
	const all = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8 // in network order
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal("open packet socket:", err)
	}
	t.Cleanup(func() { unix.Close(socket) })
	if err := unix.Bind(socket, &unix.SockaddrLinklayer{Ifindex: peer.Attrs().Index, Protocol: all & 0xffff}); err != nil {
		t.Fatal("bind packet socket:", err)
	}
	if err := unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}); err != nil {
		t.Fatal("limit packet socket:", err)
	}
	return &wire{t, socket, replica.Attrs().HardwareAddr}
}

// send packs an inner packet as e says and puts it on the wire.
func (w *wire) send(e encapsulation, inner []byte) {
	w.t.Helper()
	f := e.valid()
	f.inner = inner
	f.resize(len(inner))
	copy(f.macs, w.to)
	if _, err := unix.Write(w.socket, f.bytes()); err != nil {
		w.t.Fatal("send:", err)
	}
}

// answer waits for a packet of a protocol that leaves for a client as it is, from the VIP, and returns
// what is behind its IP header.
func (w *wire) answer(from, to netip.Addr, protocol byte) []byte {
	w.t.Helper()
	b := make([]byte, 2000)
	for {
		n, err := unix.Read(w.socket, b)
		if err != nil {
			w.t.Fatalf("no answer from %v to %v: %v", from, to, err)
		}
		p := b[14:n]
		header, source, at := 20, 12, 9
		if from.Is6() {
			header, source, at = 40, 8, 6
		}
		if len(p) >= header && p[at] == protocol && slices.Equal(p[source:header], append(from.AsSlice(), to.AsSlice()...)) {
			return slices.Clone(p[header:])
		}
	}
}

// udp is a datagram between two addresses, an IP packet.
func udp(from, to netip.AddrPort, payload string) []byte {
	f := packet.Frame{Flow: packet.Flow{Source: from, Destination: to, Protocol: packet.UDP}, DontFragment: true, Payload: []byte(payload)}
	return f.Marshal()[packet.EthernetLength:]
}

// tcp is a segment between two addresses, an IP packet.
func tcp(from, to netip.AddrPort, flags packet.TCPFlags, seq, ack uint32, payload string) []byte {
	f := packet.Frame{
		Flow: packet.Flow{Source: from, Destination: to, Protocol: packet.TCP}, DontFragment: true,
		Flags: flags, Sequence: seq, Acknowledgement: ack, Payload: []byte(payload),
	}
	return f.Marshal()[packet.EthernetLength:]
}
