package packet

import (
	"errors"
	"testing"
)

// A case is a valid frame and one change.
func TestParseMalformed(t *testing.T) {
	const ip = EthernetLength
	for _, c := range []struct {
		name   string
		frame  Frame
		change func(b []byte) []byte
		want   error
	}{
		{"nothing", Frame{Flow: tcp4}, func([]byte) []byte { return nil }, ErrEthernet},
		{"ethernet cut", Frame{Flow: tcp4}, func(b []byte) []byte { return b[:13] }, ErrEthernet},
		{"tag cut", Frame{Flow: tcp4, Tags: make([]Tag, 1)}, func(b []byte) []byte { return b[:17] }, ErrEthernet},
		{"ipv4 cut", Frame{Flow: tcp4}, func(b []byte) []byte { return b[:ip+19] }, ErrIP},
		{"ipv4 says 6", Frame{Flow: tcp4}, func(b []byte) []byte { b[ip] = 0x65; return b }, ErrIP},
		{"ipv4 header of 16", Frame{Flow: tcp4}, func(b []byte) []byte { b[ip] = 0x44; return b }, ErrIP},
		{"ipv4 options cut", Frame{Flow: tcp4, Options: make([]byte, 8)}, func(b []byte) []byte { return b[:ip+27] }, ErrIP},
		{"ipv4 total below header", Frame{Flow: tcp4}, func(b []byte) []byte { b[ip+2], b[ip+3] = 0, 19; return b }, ErrIP},
		{"tcp cut by the frame", Frame{Flow: tcp4}, func(b []byte) []byte { return b[:ip+39] }, ErrTransport},
		{"tcp cut by the total length", Frame{Flow: tcp4}, func(b []byte) []byte { b[ip+3] = 39; return b }, ErrTransport},
		{"udp cut", Frame{Flow: udp4}, func(b []byte) []byte { return b[:ip+27] }, ErrTransport},
		{"ipv6 cut", Frame{Flow: tcp6}, func(b []byte) []byte { return b[:ip+39] }, ErrIP},
		{"ipv6 says 4", Frame{Flow: tcp6}, func(b []byte) []byte { b[ip] = 0x40; return b }, ErrIP},
		{"extension cut", Frame{Flow: tcp6, Extensions: []Extension{{Kind: HopByHop}}},
			func(b []byte) []byte { return b[:ip+47] }, ErrIP},
		{"extension missing", Frame{Flow: tcp6, Extensions: []Extension{{Kind: HopByHop}}},
			func(b []byte) []byte { return b[:ip+40] }, ErrIP},
		{"extension longer than the packet", Frame{Flow: tcp6, Extensions: []Extension{{Kind: HopByHop}}},
			func(b []byte) []byte { b[ip+41] = 4; return b }, ErrIP},
		{"ipv6 payload shorter than tcp", Frame{Flow: tcp6}, func(b []byte) []byte { b[ip+5] = 19; return b }, ErrTransport},
		{"ipv6 payload 0 and padding", Frame{Flow: tcp6}, func(b []byte) []byte { b[ip+5] = 0; return b[:60] }, ErrTransport},
		{"ipv4 total 0 and padding", Frame{Flow: tcp4}, func(b []byte) []byte { b[ip+3] = 0; return append(b, 0, 0, 0, 0, 0, 0) }, ErrIP},
		{"nothing follows ipv6", Frame{Flow: tcp6}, func(b []byte) []byte { b[ip+5], b[ip+6] = 0, byte(NoNextHeader); return b }, nil},

		{"payload cut", Frame{Flow: tcp4, Payload: make([]byte, 100)}, func(b []byte) []byte { return b[:ip+40] }, nil},
		{"padded to 60", Frame{Flow: tcp4}, func(b []byte) []byte { return append(b, 0, 0, 0, 0, 0, 0) }, nil},
		{"jumbogram", Frame{Flow: tcp6, Extensions: []Extension{{Kind: HopByHop}}},
			func(b []byte) []byte { b[ip+4], b[ip+5] = 0, 0; return b }, nil},
		{"arp", Frame{Flow: tcp4}, func(b []byte) []byte { b[13] = 0x06; return b }, nil},
		{"802.3", Frame{Flow: tcp4}, func(b []byte) []byte { b[12], b[13] = 0, 40; return b }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			valid := c.frame.Marshal()
			if _, err := Parse(valid); err != nil {
				t.Fatalf("the frame is malformed before the change: %v", err)
			}
			h, err := Parse(c.change(valid))
			if !errors.Is(err, c.want) {
				t.Errorf("Parse = %v, want %v", err, c.want)
			}
			if c.want == ErrTransport && h.Flow != portless(c.frame.Flow) {
				t.Errorf("Flow = %v, want %v", h.Flow, portless(c.frame.Flow))
			}
		})
	}
}

// An authentication header has its length in words of 4 bytes, minus 2.
func TestAuthenticationHeader(t *testing.T) {
	b := Frame{Flow: tcp6, Extensions: []Extension{{Kind: DestinationOptions, Data: make([]byte, 22)}}}.Marshal()
	b[EthernetLength+6], b[EthernetLength+41] = byte(Authentication), 4
	h, err := Parse(b)
	if err != nil || !h.Ports || h.Flow != tcp6 {
		t.Errorf("Parse = %+v, %v; want the ports behind 24 bytes", h, err)
	}
}

// FuzzParse checks for any bytes that there is no panic, that offsets are inside the frame, and
// that the ports are those at the offset.
func FuzzParse(f *testing.F) {
	for _, frame := range []Frame{
		{Flow: tcp4}, {Flow: udp4, Payload: []byte("x")}, {Flow: tcp6},
		{Flow: tcp4, Tags: make([]Tag, 2), Options: make([]byte, 8)},
		{Flow: tcp4, Fragment: &Fragment{More: true}},
		{Flow: tcp6, Fragment: &Fragment{Offset: 8}, Extensions: []Extension{{Kind: Routing}}},
		{Flow: tcp6, Extensions: make([]Extension, MaxExtensions+1)},
	} {
		b := frame.Marshal()
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := Parse(b)
		again, _ := Parse(b)
		if h != again {
			t.Errorf("Parse gives %+v, then %+v", h, again)
		}
		if h.Network > len(b) || h.Transport > len(b) || h.Transport != 0 && h.Transport < h.Network {
			t.Errorf("offsets %d and %d in %d bytes", h.Network, h.Transport, len(b))
		}
		if h.VLANs > MaxVLANs || h.Extensions > MaxExtensions {
			t.Errorf("%d tags and %d extension headers", h.VLANs, h.Extensions)
		}
		if !h.Ports {
			if h.Flow.Source.Port() != 0 || h.Flow.Destination.Port() != 0 {
				t.Errorf("flow %v has ports that are not known", h.Flow)
			}
			return
		}
		if err != nil || h.Fragment {
			t.Errorf("ports in spite of error %v, fragment %v", err, h.Fragment)
		}
		segment := Datagram(b[h.Transport:])
		if h.Flow.Source.Port() != segment.SourcePort() || h.Flow.Destination.Port() != segment.DestinationPort() {
			t.Errorf("flow %v, at the offset are %d > %d", h.Flow, segment.SourcePort(), segment.DestinationPort())
		}
	})
}
