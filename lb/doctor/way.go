package doctor

import (
	"fmt"

	"lbctl/lb"
)

func addressCheck() check[Replica] {
	return check[Replica]{
		"address", "what is sent to a replica leaves by an interface; to an own address or a VIP it never gets there",
		func(f Facts, r Replica) verdict {
			for _, v := range f.VIPs {
				if v.Address == r.Address {
					return bad(Problem, "lbctl get services", "it is a VIP: packets to it come back here")
				}
			}
			if r.Way.Kind == Local {
				return bad(Problem, "# run the replica on another machine, or in another network namespace", "it is an address of this machine")
			}
			return ok("another machine's")
		},
	}
}

func routeCheck() check[Replica] {
	return check[Replica]{
		"route", "without a route packets are dropped: no_route",
		func(_ Facts, r Replica) verdict {
			switch {
			case r.Way.Kind == Local:
				return verdict{} // said by address
			case r.Way.Kind == Nowhere:
				return bad(Problem, fmt.Sprintf("ip route add %v via GATEWAY dev IFACE", whole(r.Address)), "none")
			case r.Way.Gateway.IsValid():
				return ok("by %s, via %v", r.Way.Interface, r.Way.Gateway)
			}
			return ok("by %s, on the link", r.Way.Interface)
		},
	}
}

func onLinkCheck() check[Replica] {
	return check[Replica]{
		"on-link", "dsr changes the MAC address alone: a router would send the packet back to the VIP",
		func(_ Facts, r Replica) verdict {
			switch {
			case r.Mode != lb.DSR || r.Way.Kind != Routed:
				return verdict{}
			case r.Way.Gateway.IsValid():
				return bad(Problem, "# set mode: ipip for the service", "behind the router %v", r.Way.Gateway)
			}
			return ok("on the link of %s", r.Way.Interface)
		},
	}
}

func wayOutCheck() check[Replica] {
	return check[Replica]{
		"way-out", "in mode nat answers must pass the program on their way back; an interface without it gives clients answers from an address that they do not know",
		func(f Facts, r Replica) verdict {
			i, known := f.on(r.Way.Interface)
			switch {
			case r.Way.Kind != Routed:
				return verdict{}
			case !known:
				return bad(Unknown, "ip link show dev "+r.Way.Interface, "%s cannot be looked at", r.Way.Interface)
			case r.Mode == lb.NAT && !i.Named && !i.Ours:
				return bad(Problem, "lbctl attach "+i.Name, "answers come in by %s, which is not attached", i.Name)
			}
			return ok("%s", i.Name)
		},
	}
}

func neighbourCheck() check[Replica] {
	return check[Replica]{
		"neighbour", "while the MAC address of the next hop is not known, packets wait in the kernel (nat) or are dropped (dsr, ipip)",
		func(_ Facts, r Replica) verdict {
			ping := fmt.Sprintf("ping -c 1 -w 3 -I %s %v", r.Way.Interface, r.next())
			switch state := r.Way.Neighbour; {
			case r.Way.Kind != Routed:
				return verdict{}
			case state == "failed":
				return bad(Problem, ping, "%v does not answer on %s", r.next(), r.Way.Interface)
			case state == "" || state == "none" || state == "incomplete":
				return bad(Unknown, ping, "nobody has asked for %v on %s yet; a running daemon does", r.next(), r.Way.Interface)
			default:
				return ok("%v is %s", r.next(), state)
			}
		},
	}
}
