package doctor

import (
	"fmt"
	"net/netip"

	"lbctl/lb"
)

func judgeForwarding4(f Facts, i Interface) verdict {
	return forwarding(f, i, "ipv4", "net/ipv4/ip_forward")
}

func judgeForwarding6(f Facts, i Interface) verdict {
	if off := Conf("ipv6", i.Name, "disable_ipv6"); f.Sysctl[off] != 0 && f.has(lb.NAT, true) {
		return bad(Problem, set(0, off), "IPv6 is off on the interface")
	}
	all := Conf("ipv6", "all", "forwarding")
	v := forwarding(f, i, "ipv6", all)
	// A router does not listen to other routers, unless it is told to.
	if ra := Conf("ipv6", i.Name, "accept_ra"); v.cure != "" && f.Sysctl[ra] == 1 {
		v.cure = set(2, ra) + " && " + v.cure
	}
	return v
}

// forwarding judges one family. The parameter of all interfaces sets that of each when it is written.
func forwarding(f Facts, i Interface, family, all string) verdict {
	own := Conf(family, i.Name, "forwarding")
	on, known := f.Sysctl[own]
	needed := f.has(lb.NAT, family == "ipv6")
	cure := set(1, own)
	if f.Sysctl[all] == 0 {
		cure = set(1, all)
	}
	switch {
	case !known && needed:
		return bad(Unknown, "sysctl "+dotted(own), "%s cannot be read", dotted(own))
	case !known:
		return verdict{}
	case on != 0:
		return ok("on")
	case needed:
		return bad(Problem, cure, "%s is 0", dotted(own))
	case f.servicesKnown():
		return ok("off; no service needs it, unless replicas in mode dsr or ipip answer through this machine")
	}
	return bad(Warning, cure, "%s is 0; services in mode nat need it", dotted(own))
}

// strict is the value of rp_filter by which a packet is dropped unless answers would leave where it came in (RFC 3704).
const strict = 1

func judgeReversePath(f Facts, i Interface) verdict {
	switch mode, known := f.Sysctl.either(i.Name, "rp_filter"); {
	case !known:
		return bad(Unknown, "sysctl "+dotted(Conf("ipv4", i.Name, "rp_filter")), "cannot be read")
	case mode != strict:
		return ok("%d", mode)
	case f.servicesKnown() && !f.has(lb.NAT, false):
		return ok("strict; no service needs more")
	}
	// The larger of the two counts: 2 on the interface is enough.
	return bad(Warning, set(2, Conf("ipv4", i.Name, "rp_filter")), "strict")
}

// whole is the prefix of one address.
func whole(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func judgeReach(f Facts, v VIP) verdict {
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
}

func judgeHeld(f Facts, v VIP) verdict {
	switch {
	case f.Mode == lb.NAT:
		return ok("not needed in mode nat")
	case len(v.Held) == 0:
		return bad(Problem, fmt.Sprintf("ip address add %v dev lo", whole(v.Address)), "no interface has it")
	}
	return ok("on %s", v.Held[0].Interface)
}
