package packet

import "testing"

// FuzzParse asks what holds for any bytes: no panic, offsets inside the frame, and
// ports that are those at the offset.
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
