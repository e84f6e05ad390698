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
