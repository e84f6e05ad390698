package packet

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	tcp4 = flow(TCP, "192.0.2.1:1234", "198.51.100.1:80")
	udp4 = flow(UDP, "192.0.2.1:1234", "198.51.100.1:53")
	tcp6 = flow(TCP, "[2001:db8::1]:1234", "[2001:db8::2]:80")
)

// portless is the flow of a packet whose ports are not known.
func portless(f Flow) Flow {
	f.Source = netip.AddrPortFrom(f.Source.Addr(), 0)
	f.Destination = netip.AddrPortFrom(f.Destination.Addr(), 0)
	return f
}

func TestParse(t *testing.T) {
	mapped := flow(TCP, "[::ffff:192.0.2.1]:1234", "[2001:db8::2]:80")
	many := make([]Extension, MaxExtensions+1)
	for i := range many {
		many[i].Kind = DestinationOptions
	}
	for _, c := range []struct {
		name  string
		frame Frame
		want  Headers
	}{
		{"tcp over ipv4", Frame{Flow: tcp4},
			Headers{EtherType: TypeIPv4, Network: 14, Transport: 34, Flow: tcp4, Ports: true}},
		{"udp over ipv4", Frame{Flow: udp4, Payload: []byte("x")},
			Headers{EtherType: TypeIPv4, Network: 14, Transport: 34, Flow: udp4, Ports: true}},
		{"tcp over ipv6", Frame{Flow: tcp6},
			Headers{EtherType: TypeIPv6, Network: 14, Transport: 54, Flow: tcp6, Ports: true}},
		{"a mapped address stays ipv6", Frame{Flow: mapped},
			Headers{EtherType: TypeIPv6, Network: 14, Transport: 54, Flow: mapped, Ports: true}},
		{"one tag", Frame{Flow: tcp4, Tags: []Tag{{ID: 5}}},
			Headers{EtherType: TypeIPv4, VLANs: 1, Network: 18, Transport: 38, Flow: tcp4, Ports: true}},
		{"three tags", Frame{Flow: tcp4, Tags: make([]Tag, 3)},
			Headers{EtherType: TypeVLAN, VLANs: 2, Network: 22}},
		{"ipv4 options", Frame{Flow: tcp4, Options: make([]byte, 40)},
			Headers{EtherType: TypeIPv4, Network: 14, Transport: 74, Flow: tcp4, Ports: true, Options: true}},
		{"first fragment", Frame{Flow: tcp4, Fragment: &Fragment{More: true}},
			Headers{EtherType: TypeIPv4, Network: 14, Transport: 34, Flow: portless(tcp4), Fragment: true}},
		{"last fragment", Frame{Flow: udp4, Fragment: &Fragment{Offset: 1480}, Payload: make([]byte, 30)},
			Headers{EtherType: TypeIPv4, Network: 14, Transport: 34, Flow: portless(udp4), Fragment: true}},
		{"ipv6 first fragment", Frame{Flow: tcp6, Fragment: &Fragment{More: true}},
			Headers{EtherType: TypeIPv6, Network: 14, Transport: 62, Flow: portless(tcp6), Fragment: true, Extensions: 1}},
		{"ipv6 atomic fragment", Frame{Flow: tcp6, Fragment: &Fragment{}},
			Headers{EtherType: TypeIPv6, Network: 14, Transport: 62, Flow: portless(tcp6), Fragment: true, Extensions: 1}},
		{"what follows a fragment header is not walked", // this protocol's number is an extension header's
			Frame{Flow: portless(Flow{tcp6.Source, tcp6.Destination, DestinationOptions}),
				Fragment: &Fragment{Offset: 8}, Payload: make([]byte, 8)},
			Headers{EtherType: TypeIPv6, Network: 14, Transport: 62, Fragment: true, Extensions: 1,
				Flow: portless(Flow{tcp6.Source, tcp6.Destination, DestinationOptions})}},
		{"extension headers", Frame{Flow: tcp6, Extensions: []Extension{{Kind: HopByHop}, {Kind: Routing, Data: make([]byte, 22)}}},
			Headers{EtherType: TypeIPv6, Network: 14, Transport: 86, Flow: tcp6, Ports: true, Extensions: 2}},
		{"as many extension headers as are walked", Frame{Flow: tcp6, Extensions: many[:MaxExtensions]},
			Headers{EtherType: TypeIPv6, Network: 14, Transport: 118, Flow: tcp6, Ports: true, Extensions: 8}},
		{"one too many", Frame{Flow: tcp6, Extensions: many},
			Headers{EtherType: TypeIPv6, Network: 14, Transport: 118, Extensions: 8,
				Flow: portless(Flow{tcp6.Source, tcp6.Destination, DestinationOptions})}},
		{"another protocol", Frame{Flow: portless(Flow{tcp4.Source, tcp4.Destination, 1}), Payload: make([]byte, 8)},
			Headers{EtherType: TypeIPv4, Network: 14, Transport: 34, Flow: portless(Flow{tcp4.Source, tcp4.Destination, 1})}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse(c.frame.Marshal())
			if diff := cmp.Diff(c.want, got, comparable); diff != "" || err != nil {
				t.Errorf("Parse: error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestParseDoesNotAllocate(t *testing.T) {
	frame := Frame{Flow: tcp6, Extensions: []Extension{{Kind: HopByHop}}}.Marshal()
	if n := testing.AllocsPerRun(100, func() { _, _ = Parse(frame) }); n != 0 {
		t.Errorf("%v allocations a frame, want 0", n)
	}
}

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
		"802.1ad": TypeServiceVLAN.String(), "ethertype-0x88cc": EtherType(0x88cc).String(), "arp": TypeARP.String(),
		"pppoe": TypePPPoE.String(), "mpls": TypeMPLSMulticast.String(),
		"02:00:00:00:00:0a": MAC{2, 0, 0, 0, 0, 10}.String(),
	} {
		if got != want {
			t.Errorf("String = %q, want %q", got, want)
		}
	}
}
