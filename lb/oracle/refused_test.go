package oracle_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// TestNotAnswered: which echo requests are left to the kernel.
func TestNotAnswered(t *testing.T) {
	request := [8]byte{8}
	for name, c := range map[string]struct {
		change func(n *network, w *wire, header *[8]byte)
		want   lb.Reason
	}{
		"right":       {func(*network, *wire, *[8]byte) {}, lb.EchoAnswered},
		"TTL 1":       {func(_ *network, w *wire, _ *[8]byte) { w.ttl = 1 }, lb.EchoAnswered},
		"code 1":      {func(_ *network, _ *wire, h *[8]byte) { h[1] = 1 }, lb.NotTCPUDP},
		"reply":       {func(_ *network, _ *wire, h *[8]byte) { h[0] = 0 }, lb.NotTCPUDP},
		"options":     {func(_ *network, w *wire, _ *[8]byte) { w.extra = []byte{1, 1, 1, 1} }, lb.NotTCPUDP},
		"fragment":    {func(_ *network, w *wire, _ *[8]byte) { w.bits = 0x2000 }, lb.NotTCPUDP},
		"to a host":   {func(n *network, _ *wire, _ *[8]byte) { n.vip.Address = n.replica }, lb.NotTCPUDP},
		"from a loop": {func(n *network, _ *wire, _ *[8]byte) { n.client = loop }, lb.NotTCPUDP},
	} {
		n, w, header := newNetwork(t, true, true, lb.NAT, packet.UDP, 1500), wire{ttl: 9}, request
		c.change(&n, &w, &header)
		frame := w.icmp(n.client.Addr(), n.vip.Address.Addr(), header, nil)
		if v := n.Process(ingress, frame); v.Reason != c.want {
			t.Errorf("%s: %v, want %v", name, v.Reason, c.want)
		}
	}
}

// TestHairpin: a replica is not sent its own packets, but errors about its flows.
func TestHairpin(t *testing.T) {
	n := newNetwork(t, true, true, lb.NAT, packet.TCP, 1500)
	own := n.flow()
	own.Source = n.replica
	w := wire{ttl: 9}
	if v := n.Process(ingress, w.frame(own)); v.Reason != lb.Hairpin {
		t.Errorf("%v", v.Reason)
	}
	frame := w.quoting(n.replica.Addr(), n.vip.Address.Addr(), w, own.Reverse(), 28)
	if v := n.Process(ingress, frame); v.Reason != lb.ErrorForwarded {
		t.Errorf("error: %v", v.Reason)
	}
}

// TestTTL: a packet that must not go one hop further is the kernel's, unless it is only bridged.
func TestTTL(t *testing.T) {
	for mode, want := range map[lb.Mode]lb.Reason{
		lb.NAT: lb.TTLExpired, lb.IPIP: lb.TTLExpired, lb.DSR: lb.Forwarded,
	} {
		n := newNetwork(t, true, true, mode, packet.TCP, 1500)
		if v := n.Process(ingress, wire{ttl: 1}.frame(n.flow())); v.Reason != want {
			t.Errorf("%v: %v, want %v", mode, v.Reason, want)
		}
	}
}

// TestManyTags: two are looked behind.
func TestManyTags(t *testing.T) {
	n := newNetwork(t, true, true, lb.NAT, packet.TCP, 1500)
	tag := []byte{0x81, 0, 0, 1}
	for tags, want := range []lb.Reason{lb.Forwarded, lb.Forwarded, lb.Forwarded, lb.VLANTagged} {
		frame := wire{ttl: 9, tags: bytes.Repeat(tag, tags)}.frame(n.flow())
		if v := n.Process(ingress, frame); v.Reason != want {
			t.Errorf("%d tags: %v, want %v", tags, v.Reason, want)
		}
		if v := n.Process(ingress, frame[:12+4*tags+1]); v.Reason != lb.MalformedEthernet && tags < 3 {
			t.Errorf("%d tags, cut short: %v", tags, v.Reason)
		}
	}
}

// TestFresh: of the flags of TCP, SYN without ACK begins a flow.
func TestFresh(t *testing.T) {
	for flags, want := range map[byte]uint64{0x02: 1, 0xc2: 1, 0x12: 0, 0x10: 0, 0x00: 0, 0x04: 0} {
		n := newNetwork(t, true, true, lb.NAT, packet.TCP, 1500)
		services, err := n.Services()
		if err != nil {
			t.Fatal(err)
		}
		services[0].Tracking = lb.TrackAlways
		if err := n.SetService(t.Context(), services[0]); err != nil {
			t.Fatal(err)
		}
		n.Process(ingress, poke(14+20+13, flags)(wire{ttl: 9}.frame(n.flow())))
		flows, err := n.Flows()
		if err != nil {
			t.Fatal(err)
		}
		if got := flows[n.vip].Replicas[n.replica].HalfOpen; got != want {
			t.Errorf("flags %#x: %d records, want %d", flags, got, want)
		}
	}
}

// TestChecksumNotZero: UDP's checksum 0 is sent as 0xffff, in a packet and in one that is quoted.
func TestChecksumNotZero(t *testing.T) {
	n := newNetwork(t, true, true, lb.NAT, packet.UDP, 1500)
	f := n.flow()
	f.Destination = n.replica
	w, sent := wire{ttl: 9}, wire{ttl: 8}
	for word := uint16(0); ; word++ { // one of all words makes the sum what it should be
		w.payload = binary.BigEndian.AppendUint16(nil, word)
		sent.payload = w.payload
		if c := sent.frame(f)[40:42]; c[0] == 0xff && c[1] == 0xff {
			break
		}
	}
	same(t, n.Process(ingress, w.frame(n.flow())).Frame, onward(sent.frame(f)))
	client := n.client.Addr()
	quoting := w.quoting(client, n.vip.Address.Addr(), w, n.flow().Reverse(), 28)
	same(t, n.Process(ingress, quoting).Frame, onward(sent.quoting(client, n.replica.Addr(), w, f.Reverse(), 28)))
}
