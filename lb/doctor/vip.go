package doctor

import (
	"fmt"
	"net/netip"

	"lbctl/lb"
)

// whole is the prefix of one address.
func whole(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func reachCheck() check[VIP] {
	return check[VIP]{
		"vip", "packets come for a VIP that is routed here, or that this machine answers ARP for; an answer that waits for its neighbour has it as source, " +
			"and the kernel drops packets from its own addresses",
		func(f Facts, v VIP) verdict {
			accept := set(1, Conf("ipv4", "all", "accept_local"))
			switch {
			case len(v.Held) == 0 && v.OnLink != "":
				cure := fmt.Sprintf("ip address add %v dev lo", whole(v.Address))
				if v.Address.Is4() && v.Mode == lb.NAT {
					cure += " && " + accept
				}
				return bad(Warning, cure, "in the network of %s, and nobody answers for it there", v.OnLink)
			case len(v.Held) == 0:
				return ok("not an address here: routers must send it here")
			case v.Mode != lb.NAT, v.Address.Is6():
				return ok("an address of %s", v.Held[0].Interface)
			}
			for _, i := range f.Interfaces {
				if local, known := f.Sysctl.either(i.Name, "accept_local"); i.Named && known && local == 0 {
					return bad(Warning, accept, "an address of %s, and %s does not take packets from own addresses", v.Held[0].Interface, i.Name)
				}
			}
			return ok("an address of %s, and packets from it are taken", v.Held[0].Interface)
		},
	}
}

func heldCheck() check[VIP] {
	return check[VIP]{
		"vip-held", "packets still have the VIP as destination when they come: a machine without that address drops them",
		func(f Facts, v VIP) verdict {
			switch {
			case f.Mode == lb.NAT:
				return ok("not needed in mode nat")
			case len(v.Held) == 0:
				return bad(Problem, fmt.Sprintf("ip address add %v dev lo", whole(v.Address)), "no interface has it")
			}
			return ok("on %s", v.Held[0].Interface)
		},
	}
}
