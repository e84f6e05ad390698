package oracle_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"lbctl/lb"
	"lbctl/lb/oracle"
)

// TestTooBig: at the MTU, outer header included, packets get through; one byte longer, the sender is
// told how long they may be.
func TestTooBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const mtu = 1280
		n := drawNetwork(t, mtu)
		w := drawWire(t, n.client.Addr().Is4())
		w.bits = 0x4000
		room := mtu
		if n.mode == lb.IPIP {
			room -= overhead(n)
		}
		w.payload = nil
		w.payload = make([]byte, room-(len(w.frame(n.flow()))-14-len(w.tags)))
		if v := n.Process(ingress, w.frame(n.flow())); v.Reason != lb.Forwarded {
			t.Fatalf("%v at the MTU", v.Reason)
		}
		w.payload = append(w.payload, 0)
		frame := w.frame(n.flow())
		v := n.Process(ingress, append(frame, 7, 7, 7)) // padding
		if v.Action != oracle.Transmit || v.Reason != lb.TooBigAnswered || v.Egress != ingress {
			t.Fatalf("%v %v by %d", v.Action, v.Reason, v.Egress)
		}
		same(t, v.Frame, swapped(tooBig(n, w, frame[14+len(w.tags):], room)))
	})
}

// tooBig is what the sender of a packet is told.
func tooBig(n network, w wire, ip []byte, room int) []byte {
	header, quoted, answer := [8]byte{3, 4}, 68, wire{tags: w.tags, ttl: 64}
	if !n.client.Addr().Is4() {
		header, quoted = [8]byte{2, 0}, 128
	}
	binary.BigEndian.PutUint16(header[6:], uint16(room))
	frame := answer.icmp(n.vip.Address.Addr(), n.client.Addr(), header, ip[:quoted])
	ip = frame[14+len(w.tags):]
	if n.client.Addr().Is4() {
		ip[1], ip[10], ip[11] = 0xc0, 0, 0
		binary.BigEndian.PutUint16(ip[10:], ^sum(ip[:20]))
	} else {
		ip[0], ip[1] = 0x60, 0
	}
	return frame
}

// TestNotTold: who is not told that a packet is too big.
func TestNotTold(t *testing.T) {
	long := wire{ttl: 9, bits: 0x4000, payload: make([]byte, 1400)}
	fragmented, short, later := long, long, long
	fragmented.bits, later.bits = 0, 0x4001
	short.payload = make([]byte, 20)
	for name, c := range map[string]struct {
		wire   wire
		client string
		mtu    int
		want   lb.Reason
	}{
		"a host":             {long, "198.51.100.1", 1280, lb.TooBigAnswered},
		"may be fragmented":  {fragmented, "198.51.100.1", 1280, lb.TooBig},
		"short":              {short, "198.51.100.1", 30, lb.TooBig},
		"later fragment":     {later, "198.51.100.1", 1280, lb.FragmentOrphan},
		"unspecified":        {long, "0.0.0.0", 1280, lb.TooBig},
		"loop":               {long, "127.1.2.3", 1280, lb.TooBig},
		"group":              {long, "239.1.2.3", 1280, lb.TooBig},
		"all":                {long, "255.255.255.255", 1280, lb.TooBig},
		"class E":            {long, "240.0.0.1", 1280, lb.TooBigAnswered},
		"unspecified, IPv6":  {long, "::", 1280, lb.TooBig},
		"loop, IPv6":         {long, "::1", 1280, lb.TooBig},
		"group, IPv6":        {long, "ff0e::1", 1280, lb.TooBig},
		"mapped loop":        {long, "::ffff:127.0.0.1", 1280, lb.TooBigAnswered},
		"link-local unicast": {long, "fe80::1", 1280, lb.TooBigAnswered},
	} {
		client := netip.MustParseAddr(c.client)
		n := newNetwork(t, client.Is4(), client.Is4(), lb.DSR, 6, c.mtu)
		n.client = netip.AddrPortFrom(client, n.client.Port())
		if v := n.Process(ingress, c.wire.frame(n.flow())); v.Reason != c.want {
			t.Errorf("%s: %v, want %v", name, v.Reason, c.want)
		}
	}
}
