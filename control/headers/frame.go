package headers

import (
	"fmt"

	"lbctl/rss/packet"
)

// dissect takes a frame apart.
func dissect(frame []byte) *dissection {
	d := &dissection{}
	if len(frame) < packet.EthernetLength {
		d.payload(frame)
		return d
	}
	e := packet.Ethernet(frame)
	d.add("eth.dst", e.Destination().String())
	d.add("eth.src", e.Source().String())
	d.tags(e.EtherType(), frame[packet.EthernetLength:])
	d.nameOuter()
	return d
}

// tags reads VLAN tags, and what follows them.
func (d *dissection) tags(next packet.EtherType, b []byte) {
	for n := 0; next.IsVLAN() && len(b) >= packet.VLANLength; n++ {
		layer := "vlan"
		if n > 0 {
			layer = fmt.Sprintf("vlan%d", n+1)
		}
		d.add(layer+".type", next.String())
		d.add(layer+".id", fmt.Sprint((uint16(b[0])<<8|uint16(b[1]))&0x0fff))
		d.add(layer+".priority", fmt.Sprint(b[0]>>5))
		next, b = packet.VLAN(b).EtherType(), b[packet.VLANLength:]
	}
	d.add("eth.type", next.String())
	switch next {
	case packet.TypeIPv4:
		d.ipv4(b)
	case packet.TypeIPv6:
		d.ipv6(b)
	default:
		d.payload(b)
	}
}

// payload stands for bytes without names: their number and Internet checksum.
func (d *dissection) payload(b []byte) {
	if len(b) > 0 {
		d.add("payload", opaque(b))
	}
}

func opaque(b []byte) string {
	return fmt.Sprintf("%d bytes, sum %s", len(b), hex16(packet.Checksum(b)))
}

func hex16(n uint16) string { return fmt.Sprintf("0x%04x", n) }
