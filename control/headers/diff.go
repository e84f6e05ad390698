// Package headers tells by name which header fields of two frames differ: what a load
// balancer made of a packet.
//
// Names are a layer and a field: "eth.dst", "vlan.id", "ip.ttl", "tcp.dport", "icmp.checksum"; of a
// packet that an ICMP error quotes "quoted.ip.src"; of an IP header around another one "outer.src", of
// one around that "outer2.src".
package headers

import (
	"fmt"

	"lbctl/control/api"
)

// Diff returns the fields that differ between a frame as it came and as it leaves, in their order on
// the wire, those that the second one lost at the end. A side is empty where there is no such
// field. Frames may be any bytes: a layer that is cut short counts as payload.
func Diff(before, after []byte) []api.FieldChange {
	old, now := dissect(before), dissect(after)
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
