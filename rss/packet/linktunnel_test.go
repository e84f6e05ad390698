package packet

import "testing"

// linked puts bytes between the Ethernet header of a frame and its IP header.
func linked(f Frame, what EtherType, between string) []byte {
	b := f.Marshal()
	at := EthernetLength + VLANLength*len(f.Tags)
	b = append(append(append([]byte{}, b[:at]...), between...), b[at:]...)
	b[at-2], b[at-1] = byte(what>>8), byte(what)
	return b
}

func TestInnerOfLinks(t *testing.T) {
	for _, c := range []struct {
		name    string
		frame   Frame
		what    EtherType
		between string
		tunnel  Tunnel
	}{
		{"pppoe with ipv4", Frame{Flow: tcp4}, TypePPPoE, "\x11\x00\x00\x07\x00\x2a\x00\x21", TunnelPPPoE},
		{"pppoe with ipv6", Frame{Flow: tcp6}, TypePPPoE, "\x11\x00\x00\x07\x00\x3e\x00\x57", TunnelPPPoE},
		{"pppoe behind a tag", Frame{Flow: tcp4, Tags: make([]Tag, 1)}, TypePPPoE, "\x11\x00\x00\x07\x00\x2a\x00\x21", TunnelPPPoE},
		{"mpls", Frame{Flow: tcp4}, TypeMPLS, "\x00\x01\x01\x40", TunnelMPLS},
		{"mpls, three labels, ipv6", Frame{Flow: tcp6}, TypeMPLS, "\x00\x01\x00\x40\x00\x02\x00\x40\x00\x03\x01\x40", TunnelMPLS},
		{"mpls to a group", Frame{Flow: udp4}, TypeMPLSMulticast, "\x00\x01\x01\x40", TunnelMPLS},
		{"pppoe with its control protocol", Frame{Flow: tcp4}, TypePPPoE, "\x11\x00\x00\x07\x00\x2a\xc0\x21", 0},
		{"pppoe of another version", Frame{Flow: tcp4}, TypePPPoE, "\x22\x00\x00\x07\x00\x2a\x00\x21", 0},
		{"pppoe with a code", Frame{Flow: tcp4}, TypePPPoE, "\x11\xa7\x00\x07\x00\x2a\x00\x21", 0},
		{"pppoe's discovery", Frame{Flow: tcp4}, TypePPPoEDiscovery, "\x11\x00\x00\x07\x00\x2a\x00\x21", 0},
		{"mpls with a control word", Frame{Flow: tcp4}, TypeMPLS, "\x00\x01\x01\x40\x00\x00\x00\x00", 0},
		{"mpls without a last label", Frame{Flow: tcp4}, TypeMPLS, string(make([]byte, 4*maxLabels)), 0},
	} {
		b := linked(c.frame, c.what, c.between)
		outer, err := Parse(b)
		if err != nil || outer.Flow != (Flow{}) {
			t.Fatalf("%s: outer %+v, %v", c.name, outer, err)
		}
		inner, tunnel, err := Inner(b, &outer)
		want := c.frame.Flow
		if c.tunnel == 0 {
			want = Flow{}
		}
		if tunnel != c.tunnel || inner.Flow != want || err != nil {
			t.Errorf("%s: Inner = %+v, %v, %v; want %v in %v", c.name, inner, tunnel, err, want, c.tunnel)
		}
	}
}

// An encapsulated packet cut anywhere is either known as far as its ports, or said to be cut; never another packet.
func TestInnerCaptured(t *testing.T) {
	ip4, ethernet := Frame{Flow: tcp4}.Marshal()[14:], Frame{Flow: tcp6}.Marshal()
	for name, b := range map[string][]byte{
		"ipip":   Frame{Flow: bare(udp4, InnerIPv4), Payload: ip4}.Marshal(),
		"gre":    Frame{Flow: bare(udp4, GRE), Payload: append([]byte("\xb0\x00\x08\x00012345678901"), ip4...)}.Marshal(),
		"vxlan":  Frame{Flow: over(VXLANPort), Payload: append([]byte("\x08\x00\x00\x00\x00\x00\x01\x00"), ethernet...)}.Marshal(),
		"geneve": Frame{Flow: over(GenevePort), Payload: append([]byte("\x02\x00\x65\x58\x00\x00\x01\x0012345678"), ethernet...)}.Marshal(),
		"gtpu": Frame{Flow: over(GTPUPort),
			Payload: append([]byte("\x34\xff\x00\x28\x00\x00\x00\x01\x00\x00\x00\x85\x01\x00\x00\x00"), ip4...)}.Marshal(),
		"pppoe": linked(Frame{Flow: tcp4}, TypePPPoE, "\x11\x00\x00\x07\x00\x2a\x00\x21"),
		"mpls":  linked(Frame{Flow: tcp4}, TypeMPLS, "\x00\x01\x00\x40\x00\x02\x01\x40"),
	} {
		whole, err := Parse(b)
		if err != nil {
			t.Fatal(name, err)
		}
		want, kind, err := Inner(b, &whole)
		if err != nil || kind.String() != name {
			t.Fatalf("%s: %+v, %v, %v", name, want, kind, err)
		}
		want.Cut = true
		for n := range b {
			outer, err := ParseCaptured(b[:n], true)
			if err == ErrCut && outer.Transport == 0 && outer.EtherType != TypePPPoE && outer.EtherType != TypeMPLS {
				continue // not even the outer header
			}
			inner, tunnel, err := Inner(b[:n], &outer)
			known := n >= want.Transport+4
			if tunnel&kind == 0 || known != (err == nil) || known && inner != want || !known && err != ErrCut {
				t.Errorf("%s, %d bytes of %d: %+v, %v, %v; want %+v or %v", name, n, len(b), inner, tunnel, err, want, ErrCut)
			}
		}
	}
}
