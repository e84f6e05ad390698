package packet

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestBuildRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		frame Frame
	}{
		{"no flow", Frame{}},
		{"mixed families", Frame{Flow: Flow{tcp4.Source, tcp6.Destination, TCP}}},
		{"options of 3 bytes", Frame{Flow: tcp4, Options: make([]byte, 3)}},
		{"options of 44 bytes", Frame{Flow: tcp4, Options: make([]byte, 44)}},
		{"options on ipv6", Frame{Flow: tcp6, Options: make([]byte, 4)}},
		{"extensions on ipv4", Frame{Flow: tcp4, Extensions: []Extension{{Kind: HopByHop}}}},
		{"an extension of 9 bytes", Frame{Flow: tcp6, Extensions: []Extension{{Data: make([]byte, 7)}}}},
		{"tcp as an extension", Frame{Flow: tcp6, Extensions: []Extension{{Kind: TCP}}}},
		{"fragment offset 4", Frame{Flow: tcp4, Fragment: &Fragment{Offset: 4}}},
		{"fragment offset 65536", Frame{Flow: tcp4, Fragment: &Fragment{Offset: 65536}}},
		{"too long", Frame{Flow: tcp4, Payload: make([]byte, 65535-40+1)}},
		{"too long for ipv6", Frame{Flow: tcp6, Payload: make([]byte, 65535-20+1)}},
	} {
		if b, err := c.frame.Build(); err == nil {
			t.Errorf("%s: built %d bytes, want an error", c.name, len(b))
		}
	}
}

func TestBuildLongest(t *testing.T) {
	for _, frame := range []Frame{
		{Flow: tcp4, Payload: make([]byte, 65535-40)},
		{Flow: tcp6, Payload: make([]byte, 65535-20)},
	} {
		if _, err := frame.Build(); err != nil {
			t.Errorf("%v: %v", frame.Flow, err)
		}
	}
}

// A sum of zero is written as ones: zero means that there is no checksum.
func TestBuildUDPChecksumIsNeverZero(t *testing.T) {
	frame := Frame{Flow: udp4, Payload: []byte{0, 0}}
	sum := Datagram(frame.Marshal()[34:]).Checksum()
	binary.BigEndian.PutUint16(frame.Payload, sum)
	if got := Datagram(frame.Marshal()[34:]).Checksum(); got != 0xffff {
		t.Errorf("checksum = %#04x, want 0xffff", got)
	}
}

// What is built can be parsed, and every checksum is right.
func TestBuildParse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		frame := drawFrame(t)
		b := frame.Marshal()
		h, err := Parse(b)
		if err != nil || h.Flow != frame.Flow || !h.Ports || h.VLANs != len(frame.Tags) {
			t.Fatalf("Parse = %+v, %v; want %v", h, err, frame.Flow)
		}
		segment := b[h.Transport:]
		if got := TransportChecksum(frame.Flow.Source.Addr(), frame.Flow.Destination.Addr(), frame.Flow.Protocol, segment); got != 0 {
			t.Errorf("transport checksum is off by %#04x", got)
		}
		if h.EtherType == TypeIPv4 {
			ip := IPv4(b[h.Network:])
			if Checksum(ip[:ip.HeaderLength()]) != 0 || ip.TotalLength() != len(ip) || ip.TTL() != frame.TTL {
				t.Errorf("ipv4 header % x of a packet of %d bytes", ip[:ip.HeaderLength()], len(ip))
			}
			return
		}
		if ip := IPv6(b[h.Network:]); ip.PayloadLength() != len(ip)-IPv6Length || ip.HopLimit() != frame.TTL {
			t.Errorf("ipv6 header % x of a packet of %d bytes", ip[:IPv6Length], len(ip))
		}
	})
}

func drawFrame(t *rapid.T) Frame {
	frame := Frame{
		Tags:    make([]Tag, rapid.IntRange(0, MaxVLANs).Draw(t, "tags")),
		TTL:     rapid.Uint8Range(1, 255).Draw(t, "ttl"),
		Flags:   TCPFlags(rapid.Uint8Range(1, 255).Draw(t, "flags")),
		Payload: rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "payload"),
	}
	bytes := 4
	if rapid.Bool().Draw(t, "ipv6") {
		bytes = 16
		frame.Extensions = make([]Extension, rapid.IntRange(0, 3).Draw(t, "extensions"))
	} else {
		frame.Options = make([]byte, 4*rapid.IntRange(0, 10).Draw(t, "options"))
	}
	frame.Flow = Flow{
		Source: drawAddrPort(t, bytes), Destination: drawAddrPort(t, bytes),
		Protocol: rapid.SampledFrom([]Protocol{TCP, UDP}).Draw(t, "protocol"),
	}
	return frame
}

func drawAddrPort(t *rapid.T, bytes int) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), bytes, bytes).Draw(t, "address"))
	return netip.AddrPortFrom(addr, rapid.Uint16().Draw(t, "port"))
}
