// Package framediff names the header fields in which two frames differ: what a load
// balancer made of a packet.
//
// Names are a layer and a field: "eth.dst", "vlan.id", "ip.ttl", "tcp.dport", "icmp.checksum"; of a
// packet that an ICMP error quotes "quoted.ip.src"; of an IP header around another one "outer.src", of
// one around that "outer2.src"; of UDP between them "outer.udp.sport".
package framediff

import (
	"fmt"

	"lbctl/control/api"
	"lbctl/rss/packet"
)

// Diff returns the fields that differ between a frame as it came and as it leaves, in their order on
// the wire, those that the second one lost at the end. A side is empty where there is no such
// field. Frames may be any bytes: a layer that is cut short counts as payload. If the second one is a tunnel of
// UDP, tunnel is its port, else 0.
func Diff(before, after []byte, tunnel uint16) []api.FieldChange {
	old, now := dissect(before, 0), dissect(after, tunnel)
	had := map[string]string{}
	for _, f := range old.fields {
		had[f.name] = f.value
	}
	var changes []api.FieldChange
	has := map[string]bool{}
	for _, f := range now.fields {
		has[f.name] = true
		if value, there := had[f.name]; !there || value != f.value {
			changes = append(changes, api.FieldChange{Field: f.name, Before: value, After: f.value})
		}
	}
	for _, f := range old.fields {
		if !has[f.name] {
			changes = append(changes, api.FieldChange{Field: f.name, Before: f.value})
		}
	}
	return changes
}

// field is one field of a frame.
type field struct{ name, value string }

// dissection is a frame taken apart.
type dissection struct {
	fields []field
	// ips are, for every IP header, outermost first, the index of its first field and of the
	// first behind its last; quoted ones do not count.
	ips []part
	// prefix is put before every name: "quoted." in what an ICMP error quotes.
	prefix string
	// tunnel is the UDP port behind which there is another IP packet, 0 for none.
	tunnel uint16
}

type part struct{ from, to int }

func (d *dissection) add(name, value string) {
	d.fields = append(d.fields, field{d.prefix + name, value})
}

// nameOuter gives all IP headers but the innermost the name of what is around it, so that a
// packet's own headers are compared with each other.
func (d *dissection) nameOuter() {
	for n, p := range d.ips[:max(len(d.ips)-1, 0)] {
		layer := "outer"
		if depth := len(d.ips) - 1 - n; depth > 1 {
			layer = fmt.Sprintf("outer%d", depth)
		}
		for i := p.from; i < p.to; i++ {
			d.fields[i].name = layer + d.fields[i].name[len("ip"):]
		}
	}
}

// dissect takes a frame apart.
func dissect(frame []byte, tunnel uint16) *dissection {
	d := &dissection{tunnel: tunnel}
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
