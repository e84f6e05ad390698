package packet

import (
	"net/netip"
	"testing"
)

// Each setter is read back, and a byte past its field stays.
func TestSetters(t *testing.T) {
	b4 := Frame{Flow: tcp4, ID: 0xabcd, DontFragment: true, Window: 0x1234, Acknowledgement: 9}.Marshal()
	b6 := Frame{Flow: tcp6}.Marshal()
	e, ip, ip6, tcp := Ethernet(b4), IPv4(b4[14:]), IPv6(b6[14:]), Segment(b4[34:])
	udp := Datagram(Frame{Flow: udp4, Payload: []byte("xyz")}.Marshal()[34:])
	a4, a6 := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("2001:db8::99")

	e.SetSource(MAC{1, 2, 3, 4, 5, 6})
	e.SetDestination(MAC{6, 5, 4, 3, 2, 1})
	ip.SetSource(a4)
	ip.SetTTL(7)
	ip.SetChecksum(0x5678)
	ip6.SetDestination(a6)
	ip6.SetHopLimit(8)
	tcp.SetSourcePort(1)
	tcp.SetDestinationPort(2)
	tcp.SetChecksum(3)
	udp.SetSourcePort(4)
	udp.SetDestinationPort(5)
	udp.SetChecksum(6)

	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"ethernet source", e.Source(), MAC{1, 2, 3, 4, 5, 6}},
		{"ethernet destination", e.Destination(), MAC{6, 5, 4, 3, 2, 1}},
		{"ethertype", e.EtherType(), TypeIPv4},
		{"ipv4 source", ip.Source(), a4},
		{"ipv4 destination", ip.Destination(), tcp4.Destination.Addr()},
		{"ttl", ip.TTL(), uint8(7)},
		{"ipv4 protocol", ip.Protocol(), TCP},
		{"ipv4 checksum", ip.Checksum(), uint16(0x5678)},
		{"id", ip.ID(), uint16(0xabcd)},
		{"df", ip.DontFragment(), true},
		{"mf", ip.MoreFragments(), false},
		{"ipv6 source", ip6.Source(), tcp6.Source.Addr()},
		{"ipv6 destination", ip6.Destination(), a6},
		{"hop limit", ip6.HopLimit(), uint8(8)},
		{"next header", ip6.NextHeader(), TCP},
		{"tcp source", tcp.SourcePort(), uint16(1)},
		{"tcp destination", tcp.DestinationPort(), uint16(2)},
		{"tcp checksum", tcp.Checksum(), uint16(3)},
		{"tcp flags", tcp.Flags(), ACK},
		{"tcp window", tcp.Window(), uint16(0x1234)},
		{"tcp acknowledgement", tcp.Acknowledgement(), uint32(9)},
		{"tcp header", tcp.HeaderLength(), 20},
		{"udp source", udp.SourcePort(), uint16(4)},
		{"udp destination", udp.DestinationPort(), uint16(5)},
		{"udp length", udp.Length(), 11},
		{"udp checksum", udp.Checksum(), uint16(6)},
	} {
		if c.got != c.want {
			t.Errorf("%s = %v, want %v", c.what, c.got, c.want)
		}
	}
}

func TestIPv6Words(t *testing.T) {
	ip := IPv6{0x6a, 0xbc, 0xde, 0xf1}
	if ip.TrafficClass() != 0xab || ip.FlowLabel() != 0xcdef1 || ip.Version() != 6 {
		t.Errorf("version %d class %#x label %#x, want 6, 0xab, 0xcdef1", ip.Version(), ip.TrafficClass(), ip.FlowLabel())
	}
}

func TestIPv4Fragment(t *testing.T) {
	for _, c := range []struct {
		fragment Fragment
		want     bool
	}{{Fragment{}, false}, {Fragment{More: true}, true}, {Fragment{Offset: 65528}, true}, {Fragment{8, true}, true}} {
		ip := IPv4(Frame{Flow: tcp4, DontFragment: true, Fragment: &c.fragment}.Marshal()[14:])
		if ip.IsFragment() != c.want || ip.FragmentOffset() != c.fragment.Offset || ip.MoreFragments() != c.fragment.More {
			t.Errorf("%+v: fragment %v, offset %d, more %v", c.fragment, ip.IsFragment(), ip.FragmentOffset(), ip.MoreFragments())
		}
	}
}

func TestStrings(t *testing.T) {
	for want, got := range map[string]string{
		"ipv4": TypeIPv4.String(), "ipv6": TypeIPv6.String(), "802.1q": TypeVLAN.String(),
		"802.1ad": TypeServiceVLAN.String(), "ethertype-0x0806": EtherType(0x0806).String(),
		"02:00:00:00:00:0a": MAC{2, 0, 0, 0, 0, 10}.String(),
	} {
		if got != want {
			t.Errorf("String = %q, want %q", got, want)
		}
	}
}
