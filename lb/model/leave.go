package model

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"lbctl/lb"
)

// readdress rewrites the packet in mode nat; in the others its addresses stay.
func (w way) readdress(frame []byte, p parsed) {
	q := p.quote
	switch {
	case w.service != nil && w.service.Mode != lb.NAT:
	case q == nil:
		rewrite(frame, p, w.rewritten)
	case w.service != nil:
		requote(frame, p, q.sourceAt, q.portsAt, p.destinationAt, w.replica)
	default:
		outer := 0
		if p.end(frame, p.sourceAt, 0).Addr() == p.flow.Source.Addr() {
			outer = p.sourceAt // the replica's own error; a router on the way keeps its address
		}
		requote(frame, p, q.destinationAt, q.portsAt+2, outer, w.rewritten.Source)
	}
}

// link does what is left when a packet leaves: TTL, the outer packet, tags, addresses of the link.
func (w way) link(frame []byte, p parsed, same bool) []byte {
	mode := lb.NAT
	if w.service != nil {
		mode = w.service.Mode
	}
	if mode != lb.DSR {
		decrementTTL(frame, p)
	}
	tags := frame[12 : 12+p.tagBytes]
	if !same {
		tags = nil // the network behind another interface is another one
	}
	out := slices.Concat(w.route.Neighbour[:], w.route.Source[:], tags)
	if mode != lb.IPIP {
		return append(out, frame[p.ipAt-2:]...)
	}
	return append(append(out, w.outer(frame, p)...), frame[p.ipAt:]...)
}

// outer returns the EtherType and the header around a packet to its replica.
func (w way) outer(frame []byte, p parsed) []byte {
	ip := frame[p.ipAt:]
	class := ip[1]
	if !p.v4 {
		class = ip[0]<<4 | ip[1]>>4
	}
	if to := w.replica.Addr(); to.Is4() {
		return append([]byte{0x08, 0x00}, outerV4(class, p.ipBytes, w.route.Preferred, to)...)
	}
	next := byte(41)
	if p.v4 {
		next = 4
	}
	h := binary.BigEndian.AppendUint32([]byte{0x86, 0xdd}, 6<<28|uint32(class)<<20|w.hash&0xfffff)
	h = binary.BigEndian.AppendUint16(h, uint16(p.ipBytes))
	return slices.Concat(h, []byte{next, 64}, w.route.Preferred.AsSlice(), w.replica.Addr().AsSlice())
}

// outerV4 is the header of IP in IP, RFC 2003.
func outerV4(tos byte, bytes int, from, to netip.Addr) []byte {
	h := binary.BigEndian.AppendUint16([]byte{0x45, tos}, uint16(20+bytes))
	h = slices.Concat(h, []byte{0, 0, 0x40, 0, 64, 4, 0, 0}, from.AsSlice(), to.AsSlice())
	binary.BigEndian.PutUint16(h[10:], sum(h))
	return h
}
