package packet

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// golden has frames written by hand from the RFCs, so that builder and parser
// are not only compared with each other.
var golden = []struct {
	name  string
	hex   string
	frame Frame
	want  Headers
}{
	{
		name: "tcp over ipv4, syn",
		hex: `020000000002 020000000001 0800
			45 00 0028 1234 4000 40 06 4af9 4209 95bb a18e 6450
			0aea 06e6 00000001 00000000 50 02 ffff c06e 0000`,
		frame: Frame{
			Source: MAC{2, 0, 0, 0, 0, 1}, Destination: MAC{2, 0, 0, 0, 0, 2},
			Flow: flow(TCP, "66.9.149.187:2794", "161.142.100.80:1766"),
			ID:   0x1234, DontFragment: true, Flags: SYN, Sequence: 1,
		},
		want: Headers{
			EtherType: TypeIPv4, Network: 14, Transport: 34, Ports: true,
			Flow: flow(TCP, "66.9.149.187:2794", "161.142.100.80:1766"),
		},
	},
	{
		name: "udp over ipv6 behind two tags and a destination option",
		hex: `020000000002 020000000001 88a8 0064 8100 2007 86dd
			60000000 0012 3c 05 20010db8000000000000000000000001 20010db8000000000000000000000002
			11 00 01 04 00000000
			0035 1f90 000a 1c37 6869`,
		frame: Frame{
			Source: MAC{2, 0, 0, 0, 0, 1}, Destination: MAC{2, 0, 0, 0, 0, 2},
			Tags: []Tag{{Type: TypeServiceVLAN, ID: 100}, {ID: 7, Priority: 1}},
			Flow: flow(UDP, "[2001:db8::1]:53", "[2001:db8::2]:8080"), TTL: 5,
			Extensions: []Extension{{Kind: DestinationOptions}}, Payload: []byte("hi"),
		},
		want: Headers{
			EtherType: TypeIPv6, VLANs: 2, Network: 22, Transport: 70, Ports: true, Extensions: 1,
			Flow: flow(UDP, "[2001:db8::1]:53", "[2001:db8::2]:8080"),
		},
	},
	{
		name: "middle fragment of udp over ipv6",
		hex: `020000000002 020000000001 86dd
			60000000 0010 2c 40 20010db8000000000000000000000001 20010db8000000000000000000000002
			11 00 05a9 00001234 6162636465666768`,
		frame: Frame{
			Source: MAC{2, 0, 0, 0, 0, 1}, Destination: MAC{2, 0, 0, 0, 0, 2}, ID: 0x1234,
			Flow:     flow(UDP, "[2001:db8::1]:0", "[2001:db8::2]:0"),
			Fragment: &Fragment{Offset: 1448, More: true}, Payload: []byte("abcdefgh"),
		},
		want: Headers{
			EtherType: TypeIPv6, Network: 14, Transport: 62, Fragment: true, Extensions: 1,
			Flow: flow(UDP, "[2001:db8::1]:0", "[2001:db8::2]:0"),
		},
	},
}

func TestGolden(t *testing.T) {
	for _, c := range golden {
		t.Run(c.name, func(t *testing.T) {
			want, err := hex.DecodeString(strings.Join(strings.Fields(c.hex), ""))
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.frame.Build()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(hex.Dump(want), hex.Dump(got)); diff != "" {
				t.Errorf("Build (-want +got):\n%s", diff)
			}
			headers, err := Parse(want)
			if diff := cmp.Diff(c.want, headers, comparable); diff != "" || err != nil {
				t.Errorf("Parse: error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// comparable lets cmp see into addresses.
var comparable = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

func flow(protocol Protocol, source, destination string) Flow {
	return Flow{
		Source: netip.MustParseAddrPort(source), Destination: netip.MustParseAddrPort(destination),
		Protocol: protocol,
	}
}
