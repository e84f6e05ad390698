package packet

import "encoding/binary"

// VLANLength is the length in bytes of what a tag adds to a frame.
const VLANLength = 4

// VLAN is what follows an EtherType that IsVLAN: the tag control information and
// the next EtherType (IEEE 802.1Q).
type VLAN []byte

// EtherType says what follows the tag.
func (v VLAN) EtherType() EtherType { return EtherType(binary.BigEndian.Uint16(v[2:])) }

// Tag is a VLAN tag to be put into a frame.
type Tag struct {
	// Type is TypeVLAN or TypeServiceVLAN; 0 stands for TypeVLAN.
	Type EtherType
	// ID is 0 to 4095.
	ID uint16
	// Priority is 0 to 7.
	Priority uint8
}
