package netstate

import (
	"cmp"
	"net/netip"

	"lbctl/lb/decap"
	"lbctl/lb/doctor"
)

// unpacks looks at what is unpacked on an interface, nil if nothing is or it may not be seen.
func (v *view) unpacks(i doctor.Interface) *doctor.Unpacks {
	if i.XDP.Program != doctor.Decapsulator {
		return nil
	}
	all, _ := decap.List(cmp.Or(v.question.DecapDir, decap.DefaultDir)) // an error is that it may not be seen
	for _, d := range all {
		if d.Index == i.Index {
			return &doctor.Unpacks{Locals: d.Locals, VIPs: d.VIPs, Own: v.own(i.Index)}
		}
	}
	return nil
}

// own returns the addresses of an interface but link-local ones.
func (v *view) own(index int) []netip.Addr {
	var all []netip.Addr
	for _, a := range v.addresses {
		if address := prefix(a).Addr(); a.LinkIndex == index && !address.IsLinkLocalUnicast() {
			all = append(all, address)
		}
	}
	return all
}
