package doctor

import (
	"fmt"
	"slices"

	"lbctl/lb"
)

func judgeAddress(f Facts, r Replica) verdict {
	for _, v := range f.VIPs {
		if v.Address == r.Address {
			return bad(Problem, "lbctl get services", "it is a VIP: packets to it come back here")
		}
	}
	if r.Route.Kind == Local {
		return bad(Problem, "# run the replica on another machine, or in another network namespace", "it is an address of this machine")
	}
	return ok("another machine's")
}

func judgeRoute(_ Facts, r Replica) verdict {
	switch {
	case r.Route.Kind == Local:
		return verdict{} // said by address
	case r.Route.Kind == Nowhere:
		return bad(Problem, fmt.Sprintf("ip route add %v via GATEWAY dev IFACE", whole(r.Address)), "none")
	case r.Route.Differs != "":
		return bad(Problem, "ip rule", "rules have it differ by the interface that packets come in on, and all go as those from the first: %s", r.Route.Differs)
	case r.Route.Gateway.IsValid():
		return ok("by %s, via %v", r.Route.Interface, r.Route.Gateway)
	}
	return ok("by %s, on the link", r.Route.Interface)
}

func judgeOnLink(_ Facts, r Replica) verdict {
	switch {
	case r.Mode != lb.DSR || r.Route.Kind != Routed:
		return verdict{}
	case r.Route.Gateway.IsValid():
		return bad(Problem, "# set mode: ipip for the service", "behind the router %v", r.Route.Gateway)
	}
	return ok("on the link of %s", r.Route.Interface)
}

func judgeEgress(f Facts, r Replica) verdict {
	i, known := f.on(r.Route.Interface)
	switch {
	case r.Route.Kind != Routed:
		return verdict{}
	case !known:
		return bad(Unknown, "ip link show dev "+r.Route.Interface, "%s cannot be read", r.Route.Interface)
	case r.Mode == lb.NAT && !i.Named && !i.Ours:
		return bad(Problem, "lbctl attach "+i.Name, "answers come in by %s, which is not attached", i.Name)
	}
	return ok("%s", i.Name)
}

func judgeNeighbour(_ Facts, r Replica) verdict {
	ping := fmt.Sprintf("ping -c 1 -w 3 -I %s %v", r.Route.Interface, r.next())
	switch state := r.Route.Neighbour; {
	case r.Route.Kind != Routed:
		return verdict{}
	case state == "failed":
		return bad(Problem, ping, "%v does not answer on %s", r.next(), r.Route.Interface)
	case state == "" || state == "none" || state == "incomplete":
		return bad(Unknown, ping, "nobody has asked for %v on %s yet; a running daemon does", r.next(), r.Route.Interface)
	default:
		return ok("%v is %s", r.next(), state)
	}
}

// ingress returns the size of the largest packet from clients that leaves by an interface: the MTU of another interface
// that is named and does not lead to replicas. Where there is none, packets come in by the egress itself, alone.
func (f Facts) ingress(egress string) (mtu int, alone bool) {
	alone = true
	for _, i := range f.Interfaces {
		if i.Named && i.Name != egress && !f.leads(i.Name) {
			mtu, alone = max(mtu, i.MTU), false
		}
	}
	if own, there := f.on(egress); alone && there {
		mtu = own.MTU
	}
	return mtu, alone
}

// leads reports whether an interface leads to a replica.
func (f Facts) leads(name string) bool {
	return slices.ContainsFunc(f.Replicas, func(r Replica) bool { return r.Route.Kind == Routed && r.Route.Interface == name })
}

// widest returns an interface's own MTU.
func (f Facts) widest(name string) int {
	i, _ := f.on(name)
	return i.MTU
}

func judgePathMTU(f Facts, r Replica) verdict {
	if r.Route.Kind != Routed {
		return verdict{}
	}
	mtu, alone := f.ingress(r.Route.Interface)
	need := mtu + r.overhead()
	switch {
	case r.Route.MTU >= need:
		return ok("%d of %d bytes", need, r.Route.MTU)
	case !alone && f.widest(r.Route.Interface) >= need, r.overhead() == 0 && alone:
		return bad(Warning, fmt.Sprintf("ip route get %v", r.Address), "packets of %d bytes come, %d fit: the route's own mtu is the limit", mtu, r.Route.MTU-r.overhead())
	case alone:
		// A larger MTU would let larger packets in: the replica must announce smaller segments.
		return bad(Warning, "lbctl doctor --on-replica --mode ipip --vip VIP IFACE", "packets of %d bytes come, %d fit", mtu, r.Route.MTU-r.overhead()).
			at("on the replica %v", r.Address)
	}
	return bad(Warning, f.widen(r, mtu), "packets of %d bytes come, %d fit", mtu, r.Route.MTU-r.overhead())
}

// widen returns the command that gives the link to a replica an MTU for packets of that many bytes, to any of its
// replicas. The other end comes first: it drops longer packets silently, where now their sender is told.
func (f Facts) widen(r Replica, bytes int) string {
	i, _ := f.on(r.Route.Interface)
	most := 0
	for _, other := range f.Replicas {
		if other.Route.Interface == i.Name {
			most = max(most, other.overhead())
		}
	}
	set := func(name string) string { return fmt.Sprintf("ip link set dev %s mtu %d", name, bytes+most) }
	if i.Peer != nil {
		return set(i.Peer.Name) + " && " + set(i.Name)
	}
	return fmt.Sprintf("%s   # after all others on that link, %v first: %s", set(i.Name), r.next(), set("IFACE"))
}

func judgeReturnPath(_ Facts, r Replica) verdict {
	if r.Mode != lb.NAT || r.Route.Kind != Routed {
		return verdict{}
	}
	cure, seen := "ip route get CLIENT", "not visible from here: the replica's route to clients must lead here"
	if !r.Route.Gateway.IsValid() && r.Route.Source.IsValid() {
		cure, seen = fmt.Sprintf("ip route replace default via %v", r.Route.Source), fmt.Sprintf("%s, via %v", seen, r.Route.Source)
	}
	return bad(Unknown, cure, "%s", seen).at("on the replica %v", r.Address)
}
