package capture

import (
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"lbctl/rss/packet"
)

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
		d := newDecoder()
		got, ok := d.flow(test.frame)
		if got != test.want || ok != (test.want != packet.Flow{}) {
			t.Errorf("%s: %v, %v; want %v", test.name, got, ok, test.want)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	data := frame(b,
		&layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4},
		&layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: left.AsSlice(), DstIP: right.AsSlice()},
		&layers.TCP{SrcPort: 5000, DstPort: 80})
	d := newDecoder()
	b.ReportAllocs()
	for b.Loop() {
		d.count(captured{data: data, length: len(data)})
	}
}
