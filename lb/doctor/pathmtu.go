package doctor

import (
	"fmt"
	"slices"

	"lbctl/lb"
)

// ingress returns the largest packet that comes from clients on the way out by an interface: by one that is named
// and does not lead to replicas. Where there is none they come by the way out itself, alone.
func (f Facts) ingress(wayOut string) (mtu int, alone bool) {
	alone = true
	for _, i := range f.Interfaces {
		if i.Named && i.Name != wayOut && !f.leads(i.Name) {
			mtu, alone = max(mtu, i.MTU), false
		}
	}
	if own, there := f.on(wayOut); alone && there {
		mtu = own.MTU
	}
	return mtu, alone
}

// leads tells whether an interface is the way to a replica.
func (f Facts) leads(name string) bool {
	return slices.ContainsFunc(f.Replicas, func(r Replica) bool { return r.Way.Kind == Routed && r.Way.Interface == name })
}

// widest returns an interface's own MTU.
func (f Facts) widest(name string) int {
	i, _ := f.on(name)
	return i.MTU
}

func pathMTUCheck() check[Replica] {
	return check[Replica]{
		"path-mtu", "a packet too long for the way is answered with packet-too-big; where a firewall eats that, connections stall",
		func(f Facts, r Replica) verdict {
			if r.Way.Kind != Routed {
				return verdict{}
			}
			mtu, alone := f.ingress(r.Way.Interface)
			need := mtu + r.overhead()
			switch {
			case r.Way.MTU >= need:
				return ok("%d of %d bytes", need, r.Way.MTU)
			case !alone && f.widest(r.Way.Interface) >= need, r.overhead() == 0 && alone:
				return bad(Warning, fmt.Sprintf("ip route get %v", r.Address), "packets of %d bytes come, %d fit: by the route's own mtu", mtu, r.Way.MTU-r.overhead())
			case alone:
				// A larger MTU would let larger packets in: the replica must announce smaller segments.
				return bad(Warning, "lbctl doctor --on-replica --mode ipip --vip VIP IFACE", "packets of %d bytes come, %d fit", mtu, r.Way.MTU-r.overhead()).
					at("on the replica %v", r.Address)
			}
			return bad(Warning, f.widen(r, mtu), "packets of %d bytes come, %d fit", mtu, r.Way.MTU-r.overhead())
		},
	}
}

// widen is how the link on the way gets an MTU for packets of that many bytes, to whichever of its replicas. The
// other end comes first: what is longer than it takes is lost without a word, where now its sender is told.
func (f Facts) widen(r Replica, bytes int) string {
	i, _ := f.on(r.Way.Interface)
	most := 0
	for _, other := range f.Replicas {
		if other.Way.Interface == i.Name {
			most = max(most, other.overhead())
		}
	}
	set := func(name string) string { return fmt.Sprintf("ip link set dev %s mtu %d", name, bytes+most) }
	if i.Peer != nil {
		return set(i.Peer.Name) + " && " + set(i.Name)
	}
	return fmt.Sprintf("%s   # after all others on that link, %v first: %s", set(i.Name), r.next(), set("IFACE"))
}

func wayBackCheck() check[Replica] {
	return check[Replica]{
		"way-back", "answers that do not come back through here reach the client from an address that it does not know",
		func(_ Facts, r Replica) verdict {
			if r.Mode != lb.NAT || r.Way.Kind != Routed {
				return verdict{}
			}
			cure, seen := "ip route get CLIENT", "not visible from here: the replica's route to clients must lead here"
			if !r.Way.Gateway.IsValid() && r.Way.Source.IsValid() {
				cure, seen = fmt.Sprintf("ip route replace default via %v", r.Way.Source), fmt.Sprintf("%s, via %v", seen, r.Way.Source)
			}
			return bad(Unknown, cure, "%s", seen).at("on the replica %v", r.Address)
		},
	}
}
