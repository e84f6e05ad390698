package decap

import (
	"encoding/binary"
	"lbctl/rss/packet"
	"net/netip"
	"slices"
)

// frame is a packet in a packet, in parts that a case changes before they are put together.
type frame struct {
	macs    []byte
	tags    []byte // a tag is its EtherType and TCI
	kind    uint16 // EtherType
	outer   []byte // header
	udp     []byte // header between them, or nothing
	inner   []byte // packet
	padding []byte
}

const (
	etherIPv4, etherIPv6 = 0x0800, 0x86dd
	protocolIPv4         = 4
	protocolIPv6         = 41
)

// The addresses of all cases.
var (
	client4, vip4          = netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("192.0.2.1")
	client6, vip6          = netip.MustParseAddr("2001:db8:1::7"), netip.MustParseAddr("2001:db8::1")
	balancer4, replica4    = netip.MustParseAddr("10.1.0.254"), netip.MustParseAddr("10.1.0.1")
	balancer6, replica6    = netip.MustParseAddr("2001:db8:2::fe"), netip.MustParseAddr("2001:db8:2::1")
	replicaMAC, gatewayMAC = []byte{2, 0, 0, 0, 0, 1}, []byte{2, 0, 0, 0, 0, 2}
)

// encapsulation is one of those that are decapsulated.
type encapsulation struct {
	name                string
	outer6, inner6, udp bool
}

var encapsulations = []encapsulation{
	{"4in4", false, false, false}, {"6in6", true, true, false}, {"4in6", true, false, false},
	{"4in4-udp", false, false, true}, {"6in6-udp", true, true, true}, {"4in6-udp", true, false, true},
}

const udpPort = 6080

// valid is a packet as a balancer makes it, with payload in the inner one.
func (e encapsulation) valid(payload ...byte) *frame {
	f := &frame{macs: slices.Concat(replicaMAC, gatewayMAC)}
	f.inner = ip4(client4, vip4, 17, payload)
	next := byte(protocolIPv4)
	if e.inner6 {
		f.inner, next = ip6(client6, vip6, 17, payload), protocolIPv6
	}
	if e.udp {
		next = 17
		f.udp = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, 51234), udpPort)
		f.udp = append(f.udp, 0, 0, 0, 0)
		defer func() { f.resize(len(f.inner)) }()
	}
	if e.outer6 {
		f.kind, f.outer = etherIPv6, ip6(balancer6, replica6, next, f.inner)[:40]
	} else {
		f.kind, f.outer = etherIPv4, ip4(balancer4, replica4, next, f.inner)[:20]
	}
	return f
}

// bytes puts the frame together.
func (f *frame) bytes() []byte {
	return slices.Concat(f.macs, f.tags, binary.BigEndian.AppendUint16(nil, f.kind), f.outer, f.udp, f.inner, f.padding)
}

// decapsulated is the frame that goes up.
func (f *frame) decapsulated() []byte {
	kind := uint16(etherIPv4)
	if f.inner[0]>>4 == 6 {
		kind = etherIPv6
	}
	return slices.Concat(f.macs, f.tags, binary.BigEndian.AppendUint16(nil, kind), f.inner, f.padding)
}

// tag adds a VLAN tag behind those that there are.
func (f *frame) tag(kind, tci uint16) {
	f.tags = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(f.tags, kind), tci)
}

// resize writes into the outer headers how long the packet is that they carry, and sums IPv4's up.
func (f *frame) resize(inner int) {
	if f.udp != nil {
		inner += len(f.udp)
		binary.BigEndian.PutUint16(f.udp[4:], uint16(inner))
	}
	if f.outer[0]>>4 == 6 {
		binary.BigEndian.PutUint16(f.outer[4:], uint16(len(f.outer)-40+inner))
		return
	}
	binary.BigEndian.PutUint16(f.outer[2:], uint16(len(f.outer)+inner))
	seal(f.outer)
}

func ip4(from, to netip.Addr, protocol byte, payload []byte) []byte {
	h := make([]byte, 20)
	h[0], h[6], h[8], h[9] = 0x45, 0x40, 64, protocol
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(payload)))
	copy(h[12:], from.AsSlice())
	copy(h[16:], to.AsSlice())
	seal(h)
	return append(h, payload...)
}

func ip6(from, to netip.Addr, next byte, payload []byte) []byte {
	h := make([]byte, 40)
	h[0], h[6], h[7] = 0x60, next, 64
	binary.BigEndian.PutUint16(h[4:], uint16(len(payload)))
	copy(h[8:], from.AsSlice())
	copy(h[24:], to.AsSlice())
	return append(h, payload...)
}

// seal writes the checksum of an IPv4 header, RFC 791, as long as it says it is.
func seal(h []byte) {
	h[10], h[11] = 0, 0
	binary.BigEndian.PutUint16(h[10:], packet.Checksum(h[:min(len(h), int(h[0]&15)*4)]))
}

// ecn reads and sets the congestion field of an IP header.
func ecn(h []byte) byte {
	if h[0]>>4 == 6 {
		return h[1] >> 4 & 3
	}
	return h[1] & 3
}

func setECN(h []byte, to byte) {
	if h[0]>>4 == 6 {
		h[1] = h[1]&^0x30 | to<<4
		return
	}
	h[1] = h[1]&^3 | to
	seal(h)
}
