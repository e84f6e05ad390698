package contract

import (
	"encoding/binary"
	"net/netip"

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
	Flags   uint8
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
	binary.BigEndian.PutUint16(header[10:], checksum(header))
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
	sum := checksum(append(pseudo(p.Flow, len(s)), s...))
	if sum == 0 && p.Flow.Protocol == packet.UDP {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(s[at:], sum)
	return s
}

// pseudo returns the header of addresses, length and protocol that checksums include.
func pseudo(f packet.Flow, bytes int) []byte {
	b := appendAddresses(make([]byte, 0, 40+bytes), f)
	b = binary.BigEndian.AppendUint32(b, uint32(bytes))
	return binary.BigEndian.AppendUint32(b, uint32(f.Protocol))
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
	binary.BigEndian.PutUint32(h[4:], 0x12345678) // sequence number
	binary.BigEndian.PutUint32(h[8:], 0x9abcdef0) // acknowledged
	binary.BigEndian.PutUint16(h[14:], 0xfedc)    // window
	h[12], h[13] = 5<<4, p.Flags
	return h, 16
}

// appendAddresses appends source and destination in network byte order.
func appendAddresses(b []byte, f packet.Flow) []byte {
	for _, a := range [2]netip.Addr{f.Source.Addr(), f.Destination.Addr()} {
		if a.Is4() {
			four := a.As4()
			b = append(b, four[:]...)
		} else {
			sixteen := a.As16()
			b = append(b, sixteen[:]...)
		}
	}
	return b
}

// checksum returns the Internet checksum (RFC 1071) of bytes in which its own field is 0.
func checksum(b []byte) uint16 {
	var sum uint32
	for i, v := range b {
		sum += uint32(v) << (8 * (1 - i%2))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
