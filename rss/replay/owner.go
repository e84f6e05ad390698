package replay

import (
	"encoding/binary"
	"hash/maphash"

	"lbctl/rss/packet"
	"lbctl/rss/replay/flows"
)

// maxDepth is the most nested tunnels that are read.
const maxDepth = 4

// owner returns the flow that a packet belongs to for its receiver, and the cause why the NIC took it for another
// flow, that of key. There is no cause when it did not.
func (r *Replay) owner(frame []byte, h *packet.Headers, key *flows.Key, tunnel packet.Tunnel) (flows.Key, Cause) {
	if !h.Fragment && !mayCarry(&h.Flow) {
		return flows.Key{}, 0 // nearly all packets
	}
	why, at := Cause(0), *h
	for depth := range maxDepth {
		inner, carried, err := packet.Inner(frame, &at)
		if carried == 0 || err != nil && err != packet.ErrTransport || !inner.Flow.Source.IsValid() {
			break
		}
		at = inner
		if depth > 0 || tunnel == 0 { // else the NIC hashed this inner packet
			why = Tunnel
		}
	}
	flow := at.Flow
	if at.Fragment {
		whole, ok := r.pieces.whole(frame, &at)
		if ok && why == 0 {
			why = Fragment
		}
		if ok {
			flow = whole
		}
	}
	owner := flows.KeyOf(&flow)
	if why == 0 || owner == *key {
		return flows.Key{}, 0
	}
	return owner, why
}

// mayCarry tells whether packet.Inner can find an inner packet.
func mayCarry(f *packet.Flow) bool {
	switch f.Protocol {
	case packet.InnerIPv4, packet.InnerIPv6, packet.GRE:
		return true
	case packet.UDP:
		switch f.Destination.Port() {
		case packet.VXLANPort, packet.GenevePort, packet.GTPUPort:
			return true
		}
	}
	return false
}

// pieces is a hash table of the ports of recent datagrams whose first fragment came. Its size is fixed, and a
// datagram may evict another.
type pieces struct {
	seed  maphash.Seed
	slots []piece
}

type piece struct {
	hash                uint64
	source, destination uint16
	set                 bool
}

// pieceSlots is the number of datagrams in reassembly at one time.
const pieceSlots = 1 << 12

// whole returns the flow of the datagram of a fragment; false when its first
// fragment did not come before, or the protocol has no ports.
func (p *pieces) whole(b []byte, h *packet.Headers) (packet.Flow, bool) {
	if h.Transport == 0 || !h.Flow.Protocol.HasPorts() {
		return packet.Flow{}, false
	}
	if p.slots == nil {
		p.seed, p.slots = maphash.MakeSeed(), make([]piece, pieceSlots)
	}
	id, offset := datagram(b, h)
	key := flows.KeyOf(&h.Flow)
	var named [len(key) + 4]byte
	copy(named[:], key[:])
	binary.BigEndian.PutUint32(named[len(key):], id)
	hash := maphash.Bytes(p.seed, named[:])
	slot := &p.slots[hash%pieceSlots]
	if payload := b[h.Transport:]; offset == 0 {
		if len(payload) < 4 {
			return packet.Flow{}, false
		}
		*slot = piece{hash, binary.BigEndian.Uint16(payload), binary.BigEndian.Uint16(payload[2:]), true}
	}
	if !slot.set || slot.hash != hash {
		return packet.Flow{}, false
	}
	return withPorts(h.Flow, slot.source, slot.destination), true
}

// datagram returns the identification of a fragment and its offset in bytes.
func datagram(b []byte, h *packet.Headers) (id uint32, offset int) {
	if h.EtherType == packet.TypeIPv4 {
		ip := packet.IPv4(b[h.Network:])
		return uint32(ip.ID()), ip.FragmentOffset()
	}
	header := b[h.Transport-8:] // the fragment header, which is the last that is read
	return binary.BigEndian.Uint32(header[4:]), int(binary.BigEndian.Uint16(header[2:]) &^ 7)
}
