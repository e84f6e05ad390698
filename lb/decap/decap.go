// Package decap is the replica's side of mode ipip: it hooks the XDP program of
// bpf/src/decap.bpf.c to an interface, where the program unpacks what a balancer packed, and
// passes the inner packet up.
//
// There is no daemon. All there is of an interface is pinned in a directory of its own, so that
// it goes on unpacking when the process ends; the next one finds it there. The network
// namespace counts, and is that of the calling thread.
package decap

import (
	"fmt"
	"net/netip"
	"slices"

	"lbctl/lb"
	"lbctl/lb/xdp"
)

// DefaultDir is where interfaces are pinned.
const DefaultDir = xdp.Root + "/lbctl-decap"

// Options say what an interface unpacks.
type Options struct {
	// Mode is how the program is hooked to the interface. Default lb.Auto.
	Mode lb.AttachMode
	// Locals are addresses that outer packets come to, beside those that the interface has now, which
	// count unless they are link-local.
	Locals []netip.Addr
	// VIPs are the addresses that inner packets may be to. None: any.
	VIPs []netip.Addr
}

// Interface is an interface that unpacks.
type Interface struct {
	lb.Interface
	// Locals are all addresses that outer packets come to; sorted, as are VIPs.
	Locals, VIPs []netip.Addr
	// Reasons holds every reason, also those never met. Their sum is the number of packets seen.
	Reasons map[lb.Reason]lb.Count
	// Notes are sentences for the operator about an attachment: why it is not native, how long it will last.
	Notes []string
}

// check completes and validates options. Its errors wrap lb.ErrInvalid.
func (o Options) check() (Options, error) {
	if o.Mode == "" {
		o.Mode = lb.Auto
	}
	if _, err := lb.ParseAttachMode(string(o.Mode)); err != nil {
		return o, err
	}
	o.Locals, o.VIPs = tidy(o.Locals), tidy(o.VIPs)
	for _, a := range append(slices.Clone(o.Locals), o.VIPs...) {
		if !a.IsValid() || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
			return o, fmt.Errorf("%w: address %v: want one of a host, without a zone", lb.ErrInvalid, a)
		}
	}
	return o, nil
}

// tidy sorts addresses, each once, mapped ones as what they are.
func tidy(addresses []netip.Addr) []netip.Addr {
	all := make([]netip.Addr, 0, len(addresses))
	for _, a := range addresses {
		all = append(all, a.Unmap())
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}
