package nic

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"lbctl/rss"
	"lbctl/rss/packet"
)

func withPort(a netip.AddrPort, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), port)
}

func TestUnhashedCauses(t *testing.T) {
	config, err := Default(4)
	if err != nil {
		t.Fatal(err)
	}
	config.UDP4 = 0
	n, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	of := func(etherType uint16) []byte {
		return append(binary.BigEndian.AppendUint16(make([]byte, 12), etherType), make([]byte, 46)...)
	}
	for want, b := range map[Unhashed][]byte{
		ARP: of(0x0806), PPPoE: of(0x8864), MPLS: of(0x8847), LLC: of(38), OtherEtherType: of(0x88cc),
		Tags:     packet.Frame{Flow: flow4, Tags: make([]packet.Tag, 3)}.Marshal(),
		Damaged:  of(0x0800),
		NoFields: packet.Frame{Flow: with(flow4, packet.UDP)}.Marshal(),
		0:        packet.Frame{Flow: flow4}.Marshal(),
	} {
		if got := n.Classify(b); got.Unhashed != want || got.Hashed != (want == 0) {
			t.Errorf("%v: %+v", want, got)
		}
	}
	names := map[string]bool{}
	for _, u := range UnhashedCauses() {
		names[u.String()] = true
	}
	if len(names) != int(unhashedCauses)-1 || names["none"] || !names["cut"] || !names["arp"] {
		t.Errorf("names %v", names)
	}
}

// Packets without a hash go where the profile says.
func TestDefaultQueue(t *testing.T) {
	arp := append(make([]byte, 12), 0x08, 0x06)
	for name, want := range map[string]rss.Queue{"ena": 3, "ena-gen4": 3, "dpdk-ena": 3, "ixgbe": 0, "virtio-net": 0} {
		p, ok := NamedProfile(name)
		if !ok {
			t.Fatal(name)
		}
		config, err := p.Config(4)
		if err != nil {
			t.Fatal(err)
		}
		config.Table[0] = 3
		n, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		if got := n.Classify(arp); got.Queue != want || got.Hashed {
			t.Errorf("%s: %+v, want queue %d", name, got, want)
		}
		if got := n.WithTable(nil).Classify(arp).Queue; got != 0 {
			t.Errorf("%s without a table: queue %d", name, got)
		}
	}
	for text, want := range map[string]DefaultQueue{"0": {}, "7": {Queue: 7}, "entry-0": {FirstEntry: true}} {
		if got, err := ParseDefaultQueue(text); got != want || err != nil || got.String() != text {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-1", "65536", "entry-1", "entry"} {
		if got, err := ParseDefaultQueue(text); err == nil {
			t.Errorf("%q: %+v, want an error", text, got)
		}
	}
}
