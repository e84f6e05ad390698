package verify

import (
	"net/netip"
	"testing"

	"lbctl/rss/packet"
)

func flow(protocol packet.Protocol, source, destination string) packet.Flow {
	return packet.Flow{Source: netip.MustParseAddrPort(source), Destination: netip.MustParseAddrPort(destination), Protocol: protocol}
}

var (
	four = flow(packet.TCP, "192.0.2.1:1234", "198.51.100.1:80")
	six  = flow(packet.TCP, "[2001:db8::1]:1234", "[2001:db8::2]:80")
)

func udp(f packet.Flow) packet.Flow { f.Protocol = packet.UDP; return f }

func portless(f packet.Flow, p packet.Protocol) packet.Flow {
	return packet.Flow{
		Source: netip.AddrPortFrom(f.Source.Addr(), 0), Destination: netip.AddrPortFrom(f.Destination.Addr(), 0), Protocol: p,
	}
}

func TestClassOf(t *testing.T) {
	payload := make([]byte, 16)
	arp := make([]byte, 60)
	arp[12], arp[13] = 0x08, 0x06
	options := []byte{1, 1, 1, 0}
	hop := []packet.Extension{{Kind: packet.HopByHop}}
	first, later := &packet.Fragment{More: true}, &packet.Fragment{Offset: 16}
	whole := packet.Frame{Flow: four}.Marshal()
	for _, c := range []struct {
		name  string
		frame []byte
		want  Class
	}{
		{"tcp", whole, TCP4},
		{"udp", packet.Frame{Flow: udp(four)}.Marshal(), UDP4},
		{"tcp over ipv6", packet.Frame{Flow: six}.Marshal(), TCP6},
		{"udp over ipv6", packet.Frame{Flow: udp(six)}.Marshal(), UDP6},
		{"icmp", packet.Frame{Flow: portless(four, packet.ICMP), Payload: payload}.Marshal(), OtherIP},
		{"icmpv6", packet.Frame{Flow: portless(six, packet.ICMPv6), Payload: payload}.Marshal(), OtherIP},
		{"first fragment", packet.Frame{Flow: udp(four), Fragment: first, Payload: payload}.Marshal(), FragmentFirst},
		{"later fragment", packet.Frame{Flow: udp(four), Fragment: later, Payload: payload}.Marshal(), FragmentLater},
		{"middle fragment", packet.Frame{Flow: udp(four), Fragment: &packet.Fragment{Offset: 16, More: true}, Payload: payload}.Marshal(), FragmentLater},
		{"first fragment of ipv6", packet.Frame{Flow: udp(six), Fragment: first, Payload: payload}.Marshal(), FragmentFirst},
		{"later fragment of ipv6", packet.Frame{Flow: udp(six), Fragment: later, Payload: payload}.Marshal(), FragmentLater},
		{"fragment far behind", packet.Frame{Flow: udp(six), Fragment: &packet.Fragment{Offset: 0x1ff8}, Payload: payload}.Marshal(), FragmentLater},
		{"fragment with options", packet.Frame{Flow: udp(four), Options: options, Fragment: later, Payload: payload}.Marshal(), FragmentLater},
		{"options", packet.Frame{Flow: four, Options: options}.Marshal(), Options},
		{"extensions", packet.Frame{Flow: six, Extensions: hop}.Marshal(), Extensions},
		{"vlan", packet.Frame{Flow: four, Tags: []packet.Tag{{ID: 7}}}.Marshal(), VLAN},
		{"two tags and options", packet.Frame{Flow: four, Tags: []packet.Tag{{ID: 7}, {ID: 8}}, Options: options}.Marshal(), VLAN},
		{"arp", arp, NonIP},
		{"arp in a vlan", packet.Frame{Flow: four, Tags: []packet.Tag{{ID: 7}}}.Marshal()[:18], Malformed},
		{"cut in the ip header", whole[:30], Malformed},
		{"cut in the tcp header", whole[:40], TCP4},
		{"a stump", whole[:5], Malformed},
		{"nothing", nil, Malformed},
	} {
		if got := ClassOf(c.frame); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func FuzzClassOf(f *testing.F) {
	f.Add(packet.Frame{Flow: six, Fragment: &packet.Fragment{Offset: 16}, Payload: make([]byte, 8)}.Marshal())
	f.Add(packet.Frame{Flow: four, Options: []byte{1, 1, 1, 0}}.Marshal())
	f.Fuzz(func(t *testing.T, frame []byte) {
		if ClassOf(frame) == "" {
			t.Errorf("% x: no class", frame)
		}
	})
}
