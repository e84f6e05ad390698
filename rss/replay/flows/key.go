package flows

import (
	"encoding/binary"
	"net/netip"

	"lbctl/rss/packet"
)

// Key is a packet.Flow in 40 bytes, for fast comparison and hashing. Two keys are equal when
// their flows are. The zero value is the key of the zero flow.
type Key [40]byte

// The layout of a key: two addresses of 16 bytes, then these fields.
const (
	portsAt    = 32
	protocolAt = 36
	familyAt   = 37 // 4, 6 or, without addresses, 0
)

// KeyOf returns the key of a flow.
func KeyOf(f *packet.Flow) (k Key) {
	source, destination := f.Source.Addr(), f.Destination.Addr()
	switch {
	case source.Is4() && destination.Is4():
		*(*[4]byte)(k[0:]), *(*[4]byte)(k[16:]) = source.As4(), destination.As4()
		k[familyAt] = 4
	case source.IsValid() && destination.IsValid():
		*(*[16]byte)(k[0:]), *(*[16]byte)(k[16:]) = source.As16(), destination.As16()
		k[familyAt] = 6
	}
	binary.BigEndian.PutUint16(k[portsAt:], f.Source.Port())
	binary.BigEndian.PutUint16(k[portsAt+2:], f.Destination.Port())
	k[protocolAt] = byte(f.Protocol)
	return k
}

// Flow returns the flow of a key.
func (k *Key) Flow() packet.Flow {
	source, destination := k.address(0), k.address(16)
	return packet.Flow{
		Source:      netip.AddrPortFrom(source, binary.BigEndian.Uint16(k[portsAt:])),
		Destination: netip.AddrPortFrom(destination, binary.BigEndian.Uint16(k[portsAt+2:])),
		Protocol:    packet.Protocol(k[protocolAt]),
	}
}

func (k *Key) address(at int) netip.Addr {
	switch k[familyAt] {
	case 4:
		return netip.AddrFrom4([4]byte(k[at:]))
	case 6:
		return netip.AddrFrom16([16]byte(k[at:]))
	}
	return netip.Addr{}
}

// Reverse returns the key of the opposite direction.
func (k *Key) Reverse() Key {
	r := *k
	copy(r[0:16], k[16:32])
	copy(r[16:32], k[0:16])
	copy(r[portsAt:], k[portsAt+2:portsAt+4])
	copy(r[portsAt+2:], k[portsAt:portsAt+2])
	return r
}
