package doctor

import "lbctl/lb"

const whyForwarding = "the way back of answers is looked up for a packet that is forwarded: where the interface does not forward there is none (bpf_fib_lookup), " +
	"nor for packets that wait for a neighbour in the kernel"

func forwarding4Check() check[Interface] {
	return check[Interface]{
		"forwarding-ipv4", whyForwarding,
		func(f Facts, i Interface) verdict { return forwarding(f, i, "ipv4", "net/ipv4/ip_forward") },
	}
}

func forwarding6Check() check[Interface] {
	return check[Interface]{
		"forwarding-ipv6", whyForwarding,
		func(f Facts, i Interface) verdict {
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
		},
	}
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
		return ok("off; no service needs it, unless replicas in mode dsr or ipip answer by way of this machine")
	}
	return bad(Warning, cure, "%s is 0; services in mode nat need it", dotted(own))
}

// strict is the value of rp_filter by which a packet is dropped unless answers would leave where it came in (RFC 3704).
const strict = 1

func reversePathCheck() check[Interface] {
	return check[Interface]{
		"rp-filter", "a packet that goes up to the kernel until its neighbour is known has the client's address or the VIP as source: strict, " +
			"the kernel drops it where the route back is another interface",
		func(f Facts, i Interface) verdict {
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
		},
	}
}
