package oracle_test

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"pgregory.net/rapid"

	"lbctl/lb"
	"lbctl/lb/oracle"
	"lbctl/rss/packet"
)

// ingress is the interface that frames come in on, egress the one behind which the replicas are.
const ingress, egress = 1, 2

// wire is what a test draws of a packet besides its flow.
type wire struct {
	// tags are VLAN tags, 4 bytes each.
	tags []byte
	// extra are options of IPv4, or extension headers of IPv6, the last of them naming nothing.
	extra []byte
	// payload is that of TCP or UDP, or all that the IP packet carries if it is raw.
	payload []byte
	// bits are the identification and fragment words of IPv4.
	id, bits uint16
	ttl      byte
	// unsummed: UDP without a checksum.
	unsummed bool
}

func drawWire(t *rapid.T, v4 bool) wire {
	w := wire{
		tags:     slices.Repeat([]byte{0x81, 0x00, 0x20, 0x07}, rapid.IntRange(0, 2).Draw(t, "tags")),
		payload:  rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "payload"),
		ttl:      rapid.ByteRange(2, 255).Draw(t, "TTL"),
		bits:     rapid.SampledFrom([]uint16{0, 0x4000}).Draw(t, "DF"),
		unsummed: rapid.IntRange(0, 4).Draw(t, "unsummed") == 0,
	}
	if v4 {
		w.extra = slices.Repeat([]byte{1}, 4*rapid.IntRange(0, 10).Draw(t, "options"))
	} else {
		w.extra = slices.Repeat([]byte{60, 0, 1, 4, 0, 0, 0, 0}, rapid.IntRange(0, 6).Draw(t, "extensions"))
	}
	return w
}

// frame makes the packet of a flow.
func (w wire) frame(f packet.Flow) []byte {
	l4 := []byte{byte(f.Source.Port() >> 8), byte(f.Source.Port()), byte(f.Destination.Port() >> 8), byte(f.Destination.Port())}
	at := 16
	if f.Protocol == packet.TCP {
		l4 = append(l4, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 0x20, 0, 0, 0, 0, 0)
	} else {
		l4 = append(l4, byte((8+len(w.payload))>>8), byte(8+len(w.payload)), 0, 0)
		at = 6
	}
	l4 = append(l4, w.payload...)
	if f.Protocol == packet.TCP || !w.unsummed {
		source, destination := f.Source.Addr().AsSlice(), f.Destination.Addr().AsSlice()
		pseudo := []byte{0, byte(f.Protocol), byte(len(l4) >> 8), byte(len(l4))}
		binary.BigEndian.PutUint16(l4[at:], ^sum(source, destination, pseudo, l4))
		if l4[at] == 0 && l4[at+1] == 0 && f.Protocol == packet.UDP {
			l4[at], l4[at+1] = 0xff, 0xff
		}
	}
	return w.carrying(byte(f.Protocol), f.Source.Addr(), f.Destination.Addr(), l4)
}

// carrying makes a packet with other contents.
func (w wire) carrying(protocol byte, source, destination netip.Addr, l4 []byte) []byte {
	link := slices.Concat([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}, w.tags)
	if source.Is4() {
		ip := append(make([]byte, 20), w.extra...)
		ip[0], ip[1], ip[8], ip[9] = 0x40|byte(len(ip)/4), 0x28, w.ttl, protocol
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+len(l4)))
		binary.BigEndian.PutUint16(ip[4:], w.id)
		binary.BigEndian.PutUint16(ip[6:], w.bits)
		copy(ip[12:], source.AsSlice())
		copy(ip[16:], destination.AsSlice())
		binary.BigEndian.PutUint16(ip[10:], ^sum(ip))
		return slices.Concat(link, []byte{0x08, 0x00}, ip, l4)
	}
	ip, extra := make([]byte, 40), slices.Clone(w.extra)
	ip[0], ip[1], ip[6], ip[7] = 0x62, 0x81, protocol, w.ttl // traffic class 0x28
	if len(extra) > 0 {
		ip[6], extra[len(extra)-8] = 60, protocol
	}
	binary.BigEndian.PutUint16(ip[4:], uint16(len(extra)+len(l4)))
	copy(ip[8:], source.AsSlice())
	copy(ip[24:], destination.AsSlice())
	return slices.Concat(link, []byte{0x86, 0xdd}, ip, extra, l4)
}

// network is a datapath with one service of one replica.
type network struct {
	*oracle.Datapath
	vip     lb.VIP
	mode    lb.Mode
	client  netip.AddrPort
	replica netip.AddrPort
}

func (n network) flow() packet.Flow {
	return packet.Flow{Source: n.client, Destination: n.vip.Address, Protocol: n.vip.Protocol}
}

// ends are the addresses of one IP version.
type ends struct{ client, vip, replica string }

func endsOf(v4 bool) ends {
	if v4 {
		return ends{"198.51.100.1:40000", "192.0.2.1:80", "10.0.0.1:8080"}
	}
	return ends{"[2001:db8:1::1]:40000", "[2001:db8::1]:80", "[2001:db8:2::1]:8080"}
}

// newNetwork has a replica of the given IP version, in the mode ipip, else one of the VIP's.
func newNetwork(t failer, v4, replicaV4 bool, mode lb.Mode, protocol packet.Protocol, mtu int) network {
	a := endsOf(v4)
	n := network{
		Datapath: oracle.New(oracle.Config{Routes: one{mtu}}), mode: mode, client: netip.MustParseAddrPort(a.client),
		vip:     lb.VIP{Address: netip.MustParseAddrPort(a.vip), Protocol: protocol},
		replica: netip.MustParseAddrPort(a.replica),
	}
	if mode == lb.IPIP {
		n.replica = netip.MustParseAddrPort(endsOf(replicaV4).replica)
	}
	if mode != lb.NAT {
		n.replica = netip.AddrPortFrom(n.replica.Addr(), n.vip.Address.Port())
	}
	s := lb.Service{VIP: n.vip, Mode: mode, Tracking: lb.DefaultTracking(protocol), Replicas: []lb.Replica{{Address: n.replica}}}
	if err := n.SetService(t.Context(), s.WithDefaults()); err != nil {
		t.Fatal(err)
	}
	return n
}

func drawNetwork(t *rapid.T, mtu int) network {
	v4 := rapid.Bool().Draw(t, "IPv4")
	return newNetwork(t, v4, v4 && rapid.Bool().Draw(t, "replica IPv4"),
		rapid.SampledFrom([]lb.Mode{lb.NAT, lb.DSR, lb.IPIP}).Draw(t, "mode"),
		rapid.SampledFrom([]packet.Protocol{packet.TCP, packet.UDP}).Draw(t, "protocol"), mtu)
}

// one is the route to everybody.
type one struct{ mtu int }

func (o one) Route(a netip.Addr) (oracle.Route, bool) {
	r := oracle.Route{Interface: "eth1", Index: egress, MTU: o.mtu, Source: lb.MAC{2, 2}, Neighbour: lb.MAC{2, 3}}
	r.Preferred = netip.MustParseAddr("2001:db8:2::fe")
	if a.Is4() {
		r.Preferred = netip.MustParseAddr("10.0.0.254")
	}
	return r, true
}

// unresolved is a route whose neighbour is not known.
type unresolved struct{ one }

func (u unresolved) Route(a netip.Addr) (oracle.Route, bool) {
	r, found := u.one.Route(a)
	r.Neighbour = lb.MAC{}
	return r, found
}
