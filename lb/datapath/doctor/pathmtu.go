package doctor

import (
	"fmt"

	"lbctl/lb"
)

// ingress returns the largest packet that comes from clients: by an interface that is named, and is not the way out if
// there is another one.
func (f Facts) ingress(wayOut string) (mtu int, alone bool) {
	alone = true
	for _, i := range f.Interfaces {
		if i.Named && i.Name != wayOut {
			mtu, alone = max(mtu, i.MTU), false
		}
	}
	if own, there := f.on(wayOut); alone && there {
		mtu = own.MTU
	}
	return mtu, alone
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
			return bad(Warning, fmt.Sprintf("ip link set dev %s mtu %d", r.Way.Interface, need), "packets of %d bytes come, %d fit", mtu, r.Way.MTU-r.overhead())
		},
	}
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
