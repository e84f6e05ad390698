package packet

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// over returns the flow of a tunnel's outer UDP header.
func over(port uint16) Flow {
	f := udp4
	f.Destination = netip.AddrPortFrom(f.Destination.Addr(), port)
	return f
}

func TestInner(t *testing.T) {
	ethernet, ip4, ip6 := Frame{Flow: tcp6}.Marshal(), Frame{Flow: tcp4}.Marshal()[14:], Frame{Flow: tcp6}.Marshal()[14:]
	tagged := Frame{Flow: tcp4, Tags: make([]Tag, 1)}.Marshal()
	carry := func(header string, inner []byte) []byte { return append([]byte(header), inner...) }
	for _, c := range []struct {
		name   string
		outer  Frame
		tunnel Tunnel
		flow   Flow
		at     int // of the inner IP header, behind the outer layer 4's start
	}{
		{"ipv4 in ipv4", Frame{Flow: bare(udp4, InnerIPv4), Payload: ip4}, TunnelIPIP, tcp4, 0},
		{"ipv6 in ipv4", Frame{Flow: bare(udp4, InnerIPv6), Payload: ip6}, TunnelIPIP, tcp6, 0},
		{"ipv4 in ipv6", Frame{Flow: bare(tcp6, InnerIPv4), Payload: ip4}, TunnelIPIP, tcp4, 0},
		{"gre with ipv4", Frame{Flow: bare(udp4, GRE), Payload: carry("\x00\x00\x08\x00", ip4)}, TunnelGRE, tcp4, 4},
		{"gre with all options", Frame{Flow: bare(udp4, GRE), Payload: carry("\xb0\x00\x86\xdd012345678901", ip6)}, TunnelGRE, tcp6, 16},
		{"nvgre", Frame{Flow: bare(udp4, GRE), Payload: carry("\x20\x00\x65\x58\x00\x00\x01\x00", ethernet)}, TunnelGRE, tcp6, 8 + 14},
		{"vxlan", Frame{Flow: over(VXLANPort), Payload: carry("\x08\x00\x00\x00\x00\x00\x01\x00", ethernet)}, TunnelVXLAN, tcp6, 16 + 14},
		{"vxlan with a tag", Frame{Flow: over(VXLANPort), Payload: carry("\x08\x00\x00\x00\x00\x00\x01\x00", tagged)}, TunnelVXLAN, tcp4, 16 + 18},
		{"geneve", Frame{Flow: over(GenevePort), Payload: carry("\x00\x00\x65\x58\x00\x00\x01\x00", ethernet)}, TunnelGeneve, tcp6, 16 + 14},
		{"geneve with options and ipv4", Frame{Flow: over(GenevePort), Payload: carry("\x02\x00\x08\x00\x00\x00\x01\x0012345678", ip4)}, TunnelGeneve, tcp4, 24},
		{"gtp-u", Frame{Flow: over(GTPUPort), Payload: carry("\x30\xff\x00\x28\x00\x00\x00\x01", ip4)}, TunnelGTPU, tcp4, 16},
		{"gtp-u with a sequence number", Frame{Flow: over(GTPUPort), Payload: carry("\x32\xff\x00\x28\x00\x00\x00\x01\x00\x01\x00\x00", ip6)}, TunnelGTPU, tcp6, 20},
		{"gtp-u with two extension headers", Frame{Flow: over(GTPUPort),
			Payload: carry("\x34\xff\x00\x28\x00\x00\x00\x01\x00\x00\x00\x85\x01\x00\x00\xc0\x02\x00\x00\x00\x00\x00\x00\x00", ip4)}, TunnelGTPU, tcp4, 32},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := c.outer.Marshal()
			outer, err := Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			inner, tunnel, err := Inner(b, &outer)
			if tunnel != c.tunnel || inner.Flow != c.flow || !inner.Ports || inner.Network != outer.Transport+c.at || err != nil {
				t.Errorf("Inner = %+v, %v, %v; want %v in %v at %d", inner, tunnel, err, c.flow, c.tunnel, outer.Transport+c.at)
			}
			raw, err := ParseIP(b[EthernetLength:])
			if err != nil {
				t.Fatal(err)
			}
			fromIP, _, _ := Inner(b[EthernetLength:], &raw)
			inner.Network, inner.Transport = inner.Network-EthernetLength, inner.Transport-EthernetLength
			if diff := cmp.Diff(inner, fromIP, comparable); diff != "" {
				t.Errorf("without the outer ethernet header (-want +got):\n%s", diff)
			}
		})
	}
}

// An unknown or truncated tunnel has no inner packet.
func TestInnerNone(t *testing.T) {
	vxlan, geneve, gtpu := over(VXLANPort), over(GenevePort), over(GTPUPort)
	for name, frame := range map[string]Frame{
		"tcp":                        {Flow: tcp4},
		"udp to another port":        {Flow: udp4, Payload: make([]byte, 80)},
		"tcp to the port of vxlan":   {Flow: Flow{vxlan.Source, vxlan.Destination, TCP}, Payload: []byte("\x08\x00\x00\x00\x00\x00\x01\x00")},
		"fragment":                   {Flow: bare(udp4, InnerIPv4), Payload: make([]byte, 40), Fragment: &Fragment{More: true}},
		"vxlan without its flag":     {Flow: vxlan, Payload: make([]byte, 80)},
		"vxlan cut":                  {Flow: vxlan, Payload: []byte("\x08\x00\x00\x00\x00\x00\x01")},
		"geneve of version 1":        {Flow: geneve, Payload: []byte("\x40\x00\x65\x58\x00\x00\x01\x00")},
		"geneve options cut":         {Flow: geneve, Payload: []byte("\x01\x00\x65\x58\x00\x00\x01\x00123")},
		"geneve with another type":   {Flow: geneve, Payload: []byte("\x00\x00\x88\x47\x00\x00\x01\x00")},
		"gre version 1":              {Flow: bare(udp4, GRE), Payload: []byte("\x00\x01\x08\x00")},
		"gre with routing":           {Flow: bare(udp4, GRE), Payload: []byte("\x40\x00\x08\x00")},
		"gre key cut":                {Flow: bare(udp4, GRE), Payload: []byte("\x20\x00\x08\x00\x00\x00\x00")},
		"gre cut":                    {Flow: bare(udp4, GRE), Payload: []byte("\x00\x00\x08")},
		"gtp-u echo":                 {Flow: gtpu, Payload: []byte("\x30\x01\x00\x00\x00\x00\x00\x01")},
		"gtp version 2":              {Flow: gtpu, Payload: []byte("\x50\xff\x00\x00\x00\x00\x00\x01")},
		"gtp-u cut":                  {Flow: gtpu, Payload: []byte("\x30\xff\x00\x00\x00\x00\x00")},
		"gtp-u option cut":           {Flow: gtpu, Payload: []byte("\x34\xff\x00\x00\x00\x00\x00\x01\x00\x00\x00")},
		"gtp-u extension of 0":       {Flow: gtpu, Payload: []byte("\x34\xff\x00\x00\x00\x00\x00\x01\x00\x00\x00\x85\x00\x00\x00\x00")},
		"gtp-u extension cut":        {Flow: gtpu, Payload: []byte("\x34\xff\x00\x00\x00\x00\x00\x01\x00\x00\x00\x85\x02\x00\x00\x00")},
		"gtp-u extension is missing": {Flow: gtpu, Payload: []byte("\x34\xff\x00\x00\x00\x00\x00\x01\x00\x00\x00\x85")},
	} {
		b := frame.Marshal()
		outer, err := Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if inner, tunnel, err := Inner(b, &outer); tunnel != 0 || inner != (Headers{}) || err != nil {
			t.Errorf("%s: Inner = %+v, %v, %v; want nothing", name, inner, tunnel, err)
		}
	}
}

func TestTunnelString(t *testing.T) {
	for want, tunnel := range map[string]Tunnel{"none": 0, "gre,vxlan": TunnelGRE | TunnelVXLAN, "ipip,gre,vxlan,geneve,gtpu,pppoe,mpls": AllTunnels} {
		if got := tunnel.String(); got != want {
			t.Errorf("String of %#x = %q, want %q", uint8(tunnel), got, want)
		}
	}
}

// FuzzInner checks for any bytes at any depth that there is no panic, that offsets are inside the bytes, and
// increase from tunnel to tunnel.
func FuzzInner(f *testing.F) {
	ip4, ethernet := Frame{Flow: tcp4}.Marshal()[14:], Frame{Flow: tcp6}.Marshal()
	for _, frame := range []Frame{
		{Flow: bare(udp4, InnerIPv4), Payload: ip4},
		{Flow: bare(udp4, GRE), Payload: append([]byte("\xb0\x00\x08\x00012345678901"), ip4...)},
		{Flow: over(VXLANPort), Payload: append([]byte("\x08\x00\x00\x00\x00\x00\x01\x00"), ethernet...)},
		{Flow: over(GenevePort), Payload: append([]byte("\x02\x00\x65\x58\x00\x00\x01\x0012345678"), ethernet...)},
		{Flow: over(GTPUPort), Payload: append([]byte("\x34\xff\x00\x28\x00\x00\x00\x01\x00\x00\x00\x85\x01\x00\x00\x00"), ip4...)},
	} {
		f.Add(frame.Marshal())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func([]byte) (Headers, error){Parse, ParseIP} {
			outer, _ := parse(b)
			for depth := 0; ; depth++ {
				inner, tunnel, _ := Inner(b, &outer)
				if tunnel == 0 {
					break
				}
				if inner.Network < outer.Transport || inner.Network > len(b) || inner.Transport > len(b) || depth > len(b) {
					t.Fatalf("depth %d: inner %+v of outer %+v in %d bytes", depth, inner, outer, len(b))
				}
				outer = inner
			}
		}
	})
}

func TestInnerDoesNotAllocate(t *testing.T) {
	b := Frame{Flow: over(VXLANPort), Payload: append([]byte("\x08\x00\x00\x00\x00\x00\x01\x00"), Frame{Flow: tcp6}.Marshal()...)}.Marshal()
	if n := testing.AllocsPerRun(100, func() {
		h, _ := Parse(b)
		_, _, _ = Inner(b, &h)
	}); n != 0 {
		t.Errorf("%v allocations a frame, want 0", n)
	}
}
