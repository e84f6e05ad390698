package decap

import (
	"encoding/binary"
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

// datagram is an IP packet of UDP or TCP with the right checksum, which is at that offset of the segment.
func datagram(from, to netip.Addr, protocol byte, checksum int, segment []byte) []byte {
	pseudo := slices.Concat(from.AsSlice(), to.AsSlice(), []byte{0, protocol}, binary.BigEndian.AppendUint16(nil, uint16(len(segment))))
	binary.BigEndian.PutUint16(segment[checksum:], ^onesSum(slices.Concat(pseudo, segment)))
	if from.Is6() {
		return ip6(from, to, protocol, segment)
	}
	return ip4(from, to, protocol, segment)
}

// udp is a datagram between two addresses.
func udp(from, to netip.AddrPort, payload string) []byte {
	s := ports(from, to)
	s = binary.BigEndian.AppendUint16(s, uint16(8+len(payload)))
	s = append(append(s, 0, 0), payload...)
	return datagram(from.Addr(), to.Addr(), unix.IPPROTO_UDP, 6, s)
}

const flagSYN, flagACK = 2, 16

// tcp is a segment between two addresses.
func tcp(from, to netip.AddrPort, flags byte, seq, ack uint32, payload string) []byte {
	s := ports(from, to)
	s = binary.BigEndian.AppendUint32(s, seq)
	s = binary.BigEndian.AppendUint32(s, ack)
	s = append(s, 5<<4, flags, 0xff, 0xff, 0, 0, 0, 0)
	return datagram(from.Addr(), to.Addr(), unix.IPPROTO_TCP, 16, append(s, payload...))
}

func ports(from, to netip.AddrPort) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, from.Port()), to.Port())
}
