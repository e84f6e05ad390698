package packet

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// bare is the flow of a packet whose layer 4 is in Frame.Payload.
func bare(f Flow, protocol Protocol) Flow {
	f.Protocol = protocol
	return portless(f)
}

func TestParseTransport(t *testing.T) {
	sctp := []byte{0x04, 0xd2, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	esp := []byte{0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 1}
	ah := []byte{50, 1, 0, 0, 0x11, 0x22, 0x33, 0x44, 0, 0, 0, 1}
	four, six := tcp4, tcp6
	four.Protocol, six.Protocol = SCTP, SCTP
	for _, c := range []struct {
		name  string
		frame Frame
		want  Headers
		err   error
	}{
		{"sctp over ipv4", Frame{Flow: bare(tcp4, SCTP), Payload: sctp},
			Headers{EtherType: TypeIPv4, Network: 14, Transport: 34, Flow: four, Ports: true}, nil},
		{"sctp over ipv6", Frame{Flow: bare(tcp6, SCTP), Payload: sctp},
			Headers{EtherType: TypeIPv6, Network: 14, Transport: 54, Flow: six, Ports: true}, nil},
		{"sctp cut", Frame{Flow: bare(tcp4, SCTP), Payload: sctp[:11]},
			Headers{EtherType: TypeIPv4, Network: 14, Transport: 34, Flow: bare(tcp4, SCTP)}, ErrTransport},
		{"sctp fragment", Frame{Flow: bare(tcp4, SCTP), Payload: sctp, Fragment: &Fragment{More: true}},
			Headers{EtherType: TypeIPv4, Network: 14, Transport: 34, Flow: bare(tcp4, SCTP), Fragment: true}, nil},
		{"esp over ipv4", Frame{Flow: bare(tcp4, ESP), Payload: esp},
			Headers{EtherType: TypeIPv4, Network: 14, Transport: 34, Flow: bare(tcp4, ESP), Security: ESP, SPI: 0xcafebabe}, nil},
		{"esp over ipv6", Frame{Flow: bare(tcp6, ESP), Payload: esp},
			Headers{EtherType: TypeIPv6, Network: 14, Transport: 54, Flow: bare(tcp6, ESP), Security: ESP, SPI: 0xcafebabe}, nil},
		{"esp cut", Frame{Flow: bare(tcp6, ESP), Payload: esp[:7]},
			Headers{EtherType: TypeIPv6, Network: 14, Transport: 54, Flow: bare(tcp6, ESP)}, ErrTransport},
		{"ah over ipv4", Frame{Flow: bare(tcp4, Authentication), Payload: ah},
			Headers{EtherType: TypeIPv4, Network: 14, Transport: 34, Flow: bare(tcp4, Authentication), Security: Authentication, SPI: 0x11223344}, nil},
		{"ah over ipv4 cut", Frame{Flow: bare(tcp4, Authentication), Payload: ah[:11]},
			Headers{EtherType: TypeIPv4, Network: 14, Transport: 34, Flow: bare(tcp4, Authentication)}, ErrTransport},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse(c.frame.Marshal())
			if diff := cmp.Diff(c.want, got, comparable); diff != "" || !errors.Is(err, c.err) {
				t.Errorf("Parse: error %v, want %v (-want +got):\n%s", err, c.err, diff)
			}
		})
	}
}

// Over IPv6 an AH is an extension header: its SPI is read, and the header after it too.
func TestAuthenticationHeaderOverIPv6(t *testing.T) {
	b := Frame{Flow: tcp6, Extensions: []Extension{{Kind: DestinationOptions, Data: make([]byte, 22)}}}.Marshal()
	b[EthernetLength+6], b[EthernetLength+41] = byte(Authentication), 4
	binary.BigEndian.PutUint32(b[EthernetLength+44:], 0x55667788)
	h, err := Parse(b)
	if err != nil || h.Flow != tcp6 || !h.Ports || h.Security != Authentication || h.SPI != 0x55667788 {
		t.Errorf("Parse = %+v, %v", h, err)
	}
}

func TestFlowLabel(t *testing.T) {
	b := Frame{Flow: tcp6}.Marshal()
	binary.BigEndian.PutUint32(b[EthernetLength:], 0x6ffabcde)
	if h, err := Parse(b); h.FlowLabel != 0xabcde || err != nil {
		t.Errorf("flow label %#x, %v; want 0xabcde", h.FlowLabel, err)
	}
}

// A packet without Ethernet header has the same headers, with offsets that are 14 less.
func TestParseIP(t *testing.T) {
	for _, frame := range []Frame{
		{Flow: tcp4}, {Flow: udp4, Options: make([]byte, 8)}, {Flow: tcp4, Fragment: &Fragment{More: true}},
		{Flow: tcp6}, {Flow: tcp6, Extensions: []Extension{{Kind: Routing}}},
	} {
		b := frame.Marshal()
		want, err := Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		want.Network, want.Transport = want.Network-EthernetLength, want.Transport-EthernetLength
		got, err := ParseIP(b[EthernetLength:])
		if diff := cmp.Diff(want, got, comparable); diff != "" || err != nil {
			t.Errorf("%v: error %v (-want +got):\n%s", frame.Flow, err, diff)
		}
	}
	for _, b := range [][]byte{nil, {0x45}, {0x60}, {0x50, 0, 0}, make([]byte, 60)} {
		if h, err := ParseIP(b); err != ErrIP {
			t.Errorf("ParseIP(% x) = %+v, %v; want %v", b, h, err, ErrIP)
		}
	}
}

func TestProtocolNames(t *testing.T) {
	for name, want := range map[string]Protocol{
		"tcp": 6, "udp": 17, "sctp": 132, "icmp": 1, "icmpv6": 58, "esp": 50, "ah": 51, "gre": 47, "protocol-4": 4, "protocol-255": 255,
	} {
		got, err := ParseAnyProtocol(name)
		if err != nil || got != want || got.String() != name {
			t.Errorf("ParseAnyProtocol(%q) = %v, %v; want %d", name, got, err, want)
		}
	}
	if got, err := ParseAnyProtocol("89"); got != 89 || err != nil {
		t.Errorf("ParseAnyProtocol(89) = %v, %v", got, err)
	}
	for _, s := range []string{"", "TCP", "256", "-1", "protocol-"} {
		if got, err := ParseAnyProtocol(s); err == nil {
			t.Errorf("ParseAnyProtocol(%q) = %v, want an error", s, got)
		}
	}
	if p, err := ParseProtocol("sctp"); err == nil { // what the balancer takes
		t.Errorf("ParseProtocol(sctp) = %v, want an error", p)
	}
}
