package framediff_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lbctl/control/api"
	"lbctl/control/framediff"
	"lbctl/rss/packet"
)

func flow(source, destination string, p packet.Protocol) packet.Flow {
	return packet.Flow{Source: netip.MustParseAddrPort(source), Destination: netip.MustParseAddrPort(destination), Protocol: p}
}

var (
	macA = packet.MAC{2, 0, 0, 0, 0, 1}
	macB = packet.MAC{2, 0, 0, 0, 0, 2}
)

// lines renders changes for comparison.
func lines(changes []api.FieldChange) []string {
	var text []string
	for _, c := range changes {
		text = append(text, c.Field+": "+c.Before+" -> "+c.After)
	}
	return text
}

func TestDiff(t *testing.T) {
	toVIP := packet.Frame{
		Source: macA, Destination: macB, Flow: flow("198.51.100.7:40000", "192.0.2.1:80", packet.TCP), Flags: packet.SYN, Payload: []byte("hi"),
	}
	toReplica := toVIP
	toReplica.Source, toReplica.Destination, toReplica.TTL = macB, macA, 63
	toReplica.Flow.Destination = netip.MustParseAddrPort("10.0.0.1:8080")
	tagged := toVIP
	tagged.Tags = []packet.Tag{{ID: 5, Priority: 3}, {ID: 6}}
	v6 := packet.Frame{Flow: flow("[2001:db8::7]:40000", "[2001:db8::1]:53", packet.UDP), Payload: []byte("hi"),
		Extensions: []packet.Extension{{Kind: packet.HopByHop}}}
	v6less := v6
	v6less.TTL, v6less.Extensions = 63, nil
	for _, c := range []struct {
		name          string
		before, after []byte
		want          []string
	}{
		{"nothing", toVIP.Marshal(), toVIP.Marshal(), nil},
		{"nat", toVIP.Marshal(), toReplica.Marshal(), []string{
			"eth.dst: 02:00:00:00:00:02 -> 02:00:00:00:00:01", "eth.src: 02:00:00:00:00:01 -> 02:00:00:00:00:02",
			"ip.ttl: 64 -> 63", "ip.checksum: 0x8e92 -> 0x4793", "ip.dst: 192.0.2.1 -> 10.0.0.1",
			"tcp.dport: 80 -> 8080", "tcp.checksum: 0xbeaa -> 0x576b",
		}},
		{"tags", tagged.Marshal(), toVIP.Marshal(), []string{
			"vlan.type: 802.1q -> ", "vlan.id: 5 -> ", "vlan.priority: 3 -> ",
			"vlan2.type: 802.1q -> ", "vlan2.id: 6 -> ", "vlan2.priority: 0 -> ",
		}},
		{"ipv6", v6.Marshal(), v6less.Marshal(), []string{
			"ip.length: 18 -> 10", "ip.next_header: protocol-0 -> udp", "ip.hop_limit: 64 -> 63",
			"ip.extensions: 8 bytes, sum 0xedfb -> ",
		}},
		{"payload", toVIP.Marshal(), append(toVIP.Marshal(), 1), []string{"payload: 2 bytes, sum 0x9796 -> 3 bytes, sum 0x9696"}},
		{"cut", toVIP.Marshal(), toVIP.Marshal()[:10], nil},
	} {
		got := framediff.Diff(c.before, c.after, 0)
		if c.name == "cut" {
			if len(got) < 10 || got[0].Field != "payload" {
				t.Errorf("cut: %v", lines(got))
			}
			continue
		}
		if diff := cmp.Diff(c.want, lines(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// around puts an IPv4 packet into another one.
func around(frame []byte, outer packet.Frame) []byte {
	outer.Payload = frame[packet.EthernetLength:]
	return outer.Marshal()
}

func TestDiffOfATunnel(t *testing.T) {
	inner := packet.Frame{Source: macA, Destination: macB, Flow: flow("198.51.100.7:40000", "192.0.2.1:80", packet.TCP)}
	less := inner
	less.TTL = 63
	got := framediff.Diff(inner.Marshal(), around(less.Marshal(), packet.Frame{
		Source: macA, Destination: macB, Flow: flow("10.0.0.254:0", "10.0.0.1:0", packet.InnerIPv4), DontFragment: true,
	}), 0)
	want := []string{
		"outer.version:  -> 4", "outer.tos:  -> 0x00", "outer.length:  -> 60", "outer.id:  -> 0x0000", "outer.fragment:  -> df 0",
		"outer.ttl:  -> 64", "outer.protocol:  -> protocol-4", "outer.checksum:  -> 0x25c0",
		"outer.src:  -> 10.0.0.254", "outer.dst:  -> 10.0.0.1",
		"ip.ttl: 64 -> 63", "ip.checksum: 0x8e94 -> 0x8f94",
	}
	if diff := cmp.Diff(want, lines(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// UDP around a packet is a part of the outer header, where its port says that it is a tunnel.
func TestDiffOfATunnelOfUDP(t *testing.T) {
	inner := packet.Frame{Source: macA, Destination: macB, Flow: flow("[2001:db8::7]:40000", "[2001:db8::1]:6080", packet.UDP)}
	tunnel := around(inner.Marshal(), packet.Frame{Source: macA, Destination: macB, Flow: flow("[fd00::fe]:50000", "[fd00::1]:6080", packet.UDP)})
	want := []string{
		"outer.version:  -> 6", "outer.traffic_class:  -> 0x00", "outer.flow_label:  -> 0x00000", "outer.length:  -> 56", "outer.next_header:  -> udp",
		"outer.hop_limit:  -> 64", "outer.src:  -> fd00::fe", "outer.dst:  -> fd00::1",
		"outer.udp.sport:  -> 50000", "outer.udp.dport:  -> 6080", "outer.udp.length:  -> 56", "outer.udp.checksum:  -> 0xCHECK",
	}
	got := lines(framediff.Diff(inner.Marshal(), tunnel, 6080))
	if len(got) == len(want) {
		want[len(want)-1] = got[len(got)-1] // of no matter here
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := lines(framediff.Diff(inner.Marshal(), inner.Marshal(), 6080)); len(got) > 0 {
		t.Errorf("a packet to that port, sent on as it is: %v", got)
	}
}

// TestDiffOfAnError: what an ICMP error quotes has names of its own.
func TestDiffOfAnError(t *testing.T) {
	quoting := func(vip string) []byte {
		quoted := packet.Frame{Flow: flow(vip, "198.51.100.7:40000", packet.TCP)}.Marshal()
		message := append([]byte{3, 4, 0, 0, 0, 0, 5, 220}, quoted[packet.EthernetLength:packet.EthernetLength+28]...)
		return packet.Frame{Flow: flow("203.0.113.1:0", "192.0.2.1:0", packet.ICMP), Payload: message}.Marshal()
	}
	got := framediff.Diff(quoting("192.0.2.1:80"), quoting("10.0.0.1:8080"), 0)
	want := []string{"quoted.ip.checksum: 0x8e94 -> 0x4695", "quoted.ip.src: 192.0.2.1 -> 10.0.0.1", "quoted.tcp.sport: 80 -> 8080"}
	if diff := cmp.Diff(want, lines(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzDiff: no bytes make it panic, equal frames do not differ, and different ones do.
func FuzzDiff(f *testing.F) {
	a := packet.Frame{Flow: flow("198.51.100.7:40000", "192.0.2.1:80", packet.TCP)}.Marshal()
	f.Add(a, a[:30])
	f.Add(a, around(a, packet.Frame{Flow: flow("10.0.0.254:0", "10.0.0.1:0", packet.InnerIPv4)}))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if d := framediff.Diff(a, a, 0); len(d) != 0 {
			t.Fatalf("a frame and itself: %v", d)
		}
		for _, c := range framediff.Diff(a, b, 0) {
			if c.Before == c.After {
				t.Fatalf("%+v", c)
			}
		}
	})
}
