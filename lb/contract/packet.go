package contract

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/rss/packet"
)

// Packet describes a valid packet in an Ethernet frame. The zero value of all but Flow and
// TTL is the plainest.
type Packet struct {
	Flow packet.Flow
	TTL  uint8
	// Source and Destination are the Ethernet addresses.
	Source, Destination lb.MAC
	// Tags are VLAN tags, the outermost first.
	Tags []Tag
	// Class is IPv4's TOS or IPv6's traffic class, Label IPv6's flow label.
	Class uint8
	Label uint32
	// ID, DontFragment and Options, of whole words, are IPv4's.
	ID           uint16
	DontFragment bool
	Options      []byte
	// Extensions are IPv6's, the first one first, before that of Fragment.
	Extensions []Extension
	// Fragment makes the packet a fragment, of which Carried is all that it carries.
	Fragment *Fragment
	// Flags are TCP's; UDP has none.
	Flags uint8
	// First: its sequence number is 0.
	First   bool
	Payload []byte
	// Carried is what follows the IP headers instead of a TCP segment or UDP datagram with Payload.
	Carried []byte
}

// Tag is a VLAN tag: its EtherType, and priority and VLAN in one word.
type Tag struct{ Type, Control uint16 }

// Extension is an IPv6 extension header: its number and all its bytes. The first one, the
// next header, is written by Frame.
type Extension struct {
	Kind  byte
	Bytes []byte
}

// Fragment says which part of a packet a fragment is. Offset counts bytes, a multiple of 8. IPv4 has 16 bits of ID.
type Fragment struct {
	ID     uint32
	Offset int
	More   bool
}

// Frame returns the bytes, with checksums computed from scratch.
func (p Packet) Frame() []byte {
	frame := make([]byte, 0, 256+len(p.Payload)+len(p.Carried))
	frame = append(append(frame, p.Destination[:]...), p.Source[:]...)
	for _, t := range p.Tags {
		frame = binary.BigEndian.AppendUint16(frame, t.Type)
		frame = binary.BigEndian.AppendUint16(frame, t.Control)
	}
	carried := p.Carried
	if carried == nil {
		carried = p.segment()
	}
	if p.Flow.Source.Addr().Is4() {
		frame = p.appendIPv4(append(frame, 0x08, 0x00), len(carried))
	} else {
		frame = p.appendIPv6(append(frame, 0x86, 0xdd), len(carried))
	}
	return append(frame, carried...)
}

// ip returns the IP packet alone.
func (p Packet) ip() []byte { return p.Frame()[ethernet+4*len(p.Tags):] }

func (p Packet) appendIPv4(frame []byte, carried int) []byte {
	length, start := 20+len(p.Options), len(frame)
	frame = append(frame, 4<<4|byte(length/4), p.Class)
	frame = binary.BigEndian.AppendUint16(frame, uint16(length+carried))
	frame = binary.BigEndian.AppendUint16(frame, p.ID)
	frame = binary.BigEndian.AppendUint16(frame, p.fragmentBits())
	frame = append(frame, p.TTL, byte(p.Flow.Protocol), 0, 0)
	frame = appendAddresses(frame, p.Flow)
	frame = append(frame, p.Options...)
	header := frame[start:]
	if p.Fragment != nil {
		binary.BigEndian.PutUint16(header[4:], uint16(p.Fragment.ID))
	}
	binary.BigEndian.PutUint16(header[10:], packet.Checksum(header))
	return frame
}

// fragmentBits are IPv4's flags and offset.
func (p Packet) fragmentBits() (bits uint16) {
	if p.DontFragment {
		bits |= 0x4000
	}
	if f := p.Fragment; f != nil {
		bits |= uint16(f.Offset / 8)
		if f.More {
			bits |= 0x2000
		}
	}
	return bits
}

func (p Packet) appendIPv6(frame []byte, carried int) []byte {
	extensions := p.Extensions
	if p.Fragment != nil {
		extensions = append(extensions[:len(extensions):len(extensions)], p.Fragment.extension())
	}
	for _, e := range extensions {
		carried += len(e.Bytes)
	}
	frame = binary.BigEndian.AppendUint32(frame, 6<<28|uint32(p.Class)<<20|p.Label)
	frame = binary.BigEndian.AppendUint16(frame, uint16(carried))
	next := len(frame) // where the number of the next header goes
	frame = append(frame, byte(p.Flow.Protocol), p.TTL)
	frame = appendAddresses(frame, p.Flow)
	for _, e := range extensions {
		frame[next], next = e.Kind, len(frame)
		frame = append(frame, e.Bytes...)
		frame[next] = byte(p.Flow.Protocol)
	}
	return frame
}

// extension is IPv6's fragment header.
func (f Fragment) extension() Extension {
	bits := uint16(f.Offset)
	if f.More {
		bits |= 1
	}
	header := binary.BigEndian.AppendUint16([]byte{0, 0}, bits)
	return Extension{44, binary.BigEndian.AppendUint32(header, f.ID)}
}

// segment returns the TCP segment or UDP datagram.
func (p Packet) segment() []byte {
	s, at := p.l4Header()
	s = append(s, p.Payload...)
	if p.Flow.Protocol == packet.UDP {
		binary.BigEndian.PutUint16(s[4:], uint16(len(s)))
	}
	sum := packet.TransportChecksum(p.Flow.Source.Addr(), p.Flow.Destination.Addr(), p.Flow.Protocol, s)
	if sum == 0 && p.Flow.Protocol == packet.UDP {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(s[at:], sum)
	return s
}

// l4Header returns the header without lengths and checksum, and the offset of the checksum.
func (p Packet) l4Header() ([]byte, int) {
	ports := make([]byte, 0, 20+len(p.Payload))
	for _, end := range [2]netip.AddrPort{p.Flow.Source, p.Flow.Destination} {
		ports = binary.BigEndian.AppendUint16(ports, end.Port())
	}
	if p.Flow.Protocol == packet.UDP {
		return append(ports, 0, 0, 0, 0), 6
	}
	h := ports[:20]
	if !p.First {
		binary.BigEndian.PutUint32(h[4:], 0x12345678) // sequence number
	}
	binary.BigEndian.PutUint32(h[8:], 0x9abcdef0) // acknowledged
	binary.BigEndian.PutUint16(h[14:], 0xfedc)    // window
	h[12], h[13] = 5<<4, p.Flags
	return h, 16
}

// appendAddresses appends source and destination in network byte order.
func appendAddresses(b []byte, f packet.Flow) []byte {
	return append(append(b, f.Source.Addr().AsSlice()...), f.Destination.Addr().AsSlice()...)
}

// fragments cuts a packet into fragments at offsets of what it carries, multiples of 8.
func (p Packet) fragments(id uint32, at ...int) []Packet {
	carried := p.Carried
	if carried == nil {
		carried = p.segment()
	}
	var all []Packet
	bounds := slices.Concat([]int{0}, at, []int{len(carried)})
	for i, from := range bounds[:len(bounds)-1] {
		part := p
		part.Carried = carried[from:bounds[i+1]]
		part.Fragment = &Fragment{ID: id, Offset: from, More: i < len(at)}
		all = append(all, part)
	}
	return all
}

// icmp makes the packet carry an ICMP or ICMPv6 message between its addresses: type, code, four bytes
// and what follows.
func (p Packet) icmp(kind, code byte, rest [4]byte, body []byte) Packet {
	p.Flow.Source = netip.AddrPortFrom(p.Flow.Source.Addr(), 0)
	p.Flow.Destination = netip.AddrPortFrom(p.Flow.Destination.Addr(), 0)
	message := slices.Concat([]byte{kind, code, 0, 0}, rest[:], body)
	p.Flow.Protocol = packet.ICMP
	sum := packet.Checksum(message)
	if !p.Flow.Source.Addr().Is4() {
		p.Flow.Protocol = packet.ICMPv6
		sum = packet.TransportChecksum(p.Flow.Source.Addr(), p.Flow.Destination.Addr(), packet.ICMPv6, message)
	}
	binary.BigEndian.PutUint16(message[2:], sum)
	p.Carried = message
	return p
}

// encapsulate puts the IP packet of a frame with so many tags into another one: RFC 2003, RFC 2473; if the tunnel has
// ports, into UDP in that.
func encapsulate(frame []byte, tags int, tunnel packet.Flow, label uint32) []byte {
	inner := frame[ethernet+4*tags:]
	outer := Packet{Flow: tunnel, TTL: 64, DontFragment: true, Label: label}
	length := int(binary.BigEndian.Uint16(inner[2:]))
	outer.Flow.Protocol, outer.Class = packet.InnerIPv4, inner[1]
	if inner[0]>>4 == 6 {
		length = 40 + int(binary.BigEndian.Uint16(inner[4:]))
		outer.Flow.Protocol, outer.Class = packet.InnerIPv6, inner[0]<<4|inner[1]>>4
	}
	for i := range tags {
		tag := frame[12+4*i:]
		outer.Tags = append(outer.Tags, Tag{binary.BigEndian.Uint16(tag), binary.BigEndian.Uint16(tag[2:])})
	}
	copy(outer.Destination[:], frame)
	copy(outer.Source[:], frame[6:])
	outer.Carried = inner[:length]
	if tunnel.Destination.Port() != 0 {
		outer.Flow.Protocol, outer.Carried = packet.UDP, inUDP(tunnel, inner[:length])
	}
	return append(outer.Frame(), inner[length:]...) // Ethernet padding
}
